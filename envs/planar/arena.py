"""The Survivor's arena: walls, obstacles, spawners, and the way round them from anywhere to anywhere.

The arena is cut into cells of a metre. For every cell as a goal, a breadth-first search from it gives each other cell the
neighbour through which it is nearest: a table that is made once, so that an enemy's walk costs one look-up a step.
"""

from functools import cache

import numpy as np

from envs.kernels import kernel

HALF_ARENA = np.float32(9.0)
BOXES = np.array([(-5, 3, -2, 4), (3, 3, 4, 6), (-4, -6, -3, -3), (2, -4, 5, -3)], np.float32)  # x0, y0, x1, y1
SPAWNERS = np.array([(8, 8), (-8, 8), (-8, -8), (8, -8)], np.float32)
ENEMY_RADIUS = np.float32(0.5)
EDGE = 18  # cells
CELLS = EDGE * EDGE


@cache
def routes() -> np.ndarray:
    """(goal, cell) -> the next cell on the way: (CELLS, CELLS) int16."""
    table = np.empty((CELLS, CELLS), np.int16)
    _search(table)
    return table


@kernel
def cell_of(x, y) -> int:
    """The cell that a point is in."""
    column = min(max(int(np.floor(x + HALF_ARENA)), 0), EDGE - 1)
    row = min(max(int(np.floor(y + HALF_ARENA)), 0), EDGE - 1)
    return row * EDGE + column


@kernel
def middle_of(cell) -> tuple[np.floating, np.floating]:
    """A cell's middle."""
    half = np.float32(0.5)
    return np.float32(cell % EDGE) + half - HALF_ARENA, np.float32(cell // EDGE) + half - HALF_ARENA


@kernel
def _is_free(row, column):
    """Whether an enemy fits on the middle of a cell."""
    if row < 0 or row >= EDGE or column < 0 or column >= EDGE:
        return False
    x, y = middle_of(row * EDGE + column)
    for b in range(len(BOXES)):
        dx = max(BOXES[b, 0] - x, x - BOXES[b, 2], np.float32(0))
        dy = max(BOXES[b, 1] - y, y - BOXES[b, 3], np.float32(0))
        if dx * dx + dy * dy < ENEMY_RADIUS * ENEMY_RADIUS:
            return False
    return True


@kernel
def _search(table):
    queue = np.empty(CELLS, np.int64)
    for goal in range(CELLS):
        table[goal] = -1
        table[goal, goal] = goal
        queue[0], head, tail = goal, 0, 1
        while head < tail:
            here = queue[head]
            head += 1
            row, column = here // EDGE, here % EDGE
            for n in range(8):  # straight neighbours first
                dr = (0, 0, 1, -1, 1, 1, -1, -1)[n]
                dc = (1, -1, 0, 0, 1, -1, 1, -1)[n]
                r, c = row + dr, column + dc
                if r < 0 or r >= EDGE or c < 0 or c >= EDGE or table[goal, r * EDGE + c] >= 0:
                    continue
                if n >= 4 and not (_is_free(r, column) and _is_free(row, c) and _is_free(r, c)):
                    continue  # no corner is cut
                table[goal, r * EDGE + c] = here
                if _is_free(r, c):  # from a cell too near an obstacle one can leave, but no way leads through it
                    queue[tail] = r * EDGE + c
                    tail += 1


@kernel
def is_clear(x, y, to_x, to_y) -> bool:
    """Whether an enemy can walk straight from one point to another: the way misses all obstacles, made thicker by its radius."""
    dx, dy, one, zero = to_x - x, to_y - y, np.float32(1), np.float32(0)
    for b in range(len(BOXES)):
        enter, leave = zero, one
        for low, high, at, step in (
            (BOXES[b, 0] - ENEMY_RADIUS, BOXES[b, 2] + ENEMY_RADIUS, x, dx),
            (BOXES[b, 1] - ENEMY_RADIUS, BOXES[b, 3] + ENEMY_RADIUS, y, dy),
        ):
            if abs(step) < np.float32(1e-6):
                if at <= low or at >= high:
                    enter = np.float32(2)
            else:
                s, t = (low - at) / step, (high - at) / step
                enter, leave = max(enter, min(s, t)), min(leave, max(s, t))
        if enter < leave:
            return False
    return True


@kernel
def keep_out(x, y, radius) -> tuple[np.floating, np.floating]:
    """The nearest place for a disc that is inside the walls and outside the obstacles."""
    edge, zero = HALF_ARENA - radius, np.float32(0)
    x, y = min(max(x, -edge), edge), min(max(y, -edge), edge)
    for b in range(len(BOXES)):
        dx = x - min(max(x, BOXES[b, 0]), BOXES[b, 2])
        dy = y - min(max(y, BOXES[b, 1]), BOXES[b, 3])
        distance = np.sqrt(dx * dx + dy * dy)
        if zero < distance < radius:
            x, y = x + dx * (radius / distance - 1), y + dy * (radius / distance - 1)
    return np.float32(x), np.float32(y)
