"""deepnp/DynaMaze-v0: the maze of Sutton (1990), 6 × 9 cells, on which planning shows what it is worth.

    . . . . . . . # G
    . . # . . . . # .        S  start        #  a wall
    S . # . . . . # .        G  goal         .  free
    . . # . . . . . .
    . . . . . # . . .
    . . . . . . . . .

Observation (Discrete 54)   the cell, row by row from the upper left one
Action (Discrete 4)         0 up · 1 right · 2 down · 3 left, by one cell; against a wall or the edge, nothing moves
Reward                      +1 at the goal, else 0
End                         the goal; the shortest way has 14 steps

There is no chance in it. `env.unwrapped.P` is its table, as Gymnasium's toy environments have it.
"""

import numpy as np

from envs.planar import canvas
from envs.planar.table import Outcomes, Table, table_environments

MAZE = (".......#G", "..#....#.", "S.#....#.", "..#......", ".....#...", ".........")
ROWS, COLUMNS = len(MAZE), len(MAZE[0])
CELLS = "".join(MAZE)
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))


def table() -> Outcomes:
    """P[s][a] of the maze."""
    return {s: {a: [outcome(s, *move)] for a, move in enumerate(MOVES)} for s in range(len(CELLS))}


def outcome(s: int, down: int, right: int) -> tuple[float, int, float, bool]:
    """(probability, s′, reward, terminated) of a move from cell s; at the goal, and inside walls, nothing happens."""
    if CELLS[s] in "G#":
        return 1.0, s, 0.0, True
    y, x = min(max(s // COLUMNS + down, 0), ROWS - 1), min(max(s % COLUMNS + right, 0), COLUMNS - 1)
    reached = s if MAZE[y][x] == "#" else y * COLUMNS + x
    at_goal = CELLS[reached] == "G"
    return 1.0, reached, float(at_goal), at_goal


class DynaMaze(Table):
    """N copies of the maze.

    Parameters
    ----------
    num_envs : int
        N.
    """

    def __init__(self, num_envs: int = 1):
        start = np.array([cell == "S" for cell in CELLS], np.float64)
        super().__init__(num_envs, outcomes=table(), start=start, shape=(ROWS, COLUMNS))

    def colour(self, cell: int) -> str:
        return {"#": canvas.WALL, "G": canvas.GOOD, "S": canvas.FAINT}.get(CELLS[cell], canvas.GROUND)


DynaMazeEnv, DynaMazeVectorEnv = table_environments(DynaMaze)
