"""deepnp/Catch-v0: catch a falling ball, seen as a picture of 16 × 16 pixels.

Observation (16, 16, 1)   grey bytes: the ball, a pixel of 255; the paddle, three of 255 in the lowest row; 0 elsewhere
Action (3)                0 stay · 1 left · 2 right, by one pixel
Reward                    +1 in the last step if the ball lands on the paddle, else −1
End                       the ball has reached the lowest row, after 15 steps

Ball and paddle start in columns of their own, drawn anew; every ball can be caught. It is the game of Mnih et al. (2014),
smaller, and meant for trying networks that read pictures.
"""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from envs.checks import Bounds, check_whole
from envs.kernels import kernel, uniform
from envs.pair import environments
from envs.planar import canvas
from envs.planar.canvas import Canvas
from envs.planar.game import Game

EDGE = 16
LOWEST = EDGE - 1
LEFT, RIGHT = 1, 2
BRIGHT = np.uint8(255)
SECONDS = 0.1


class World(NamedTuple):
    rng_state: np.ndarray  # (N,) uint64
    row: np.ndarray  # (N,) int32: the ball's, from the top
    column: np.ndarray  # (N,) int32: the ball's
    paddle: np.ndarray  # (N,) int32: column of its middle


class Catch(Game):
    """N balls and paddles.

    Parameters
    ----------
    num_envs : int
        N.
    """

    def __init__(self, num_envs: int = 1):
        n = check_whole("num_envs", num_envs, 1)
        row, column, paddle = (np.ones(n, np.int32) for _ in range(3))
        pictures = spaces.Box(0, 255, (EDGE, EDGE, 1), np.uint8)
        world = World(np.zeros(n, np.uint64), row, column, paddle)
        super().__init__(world, pictures, spaces.Discrete(3), SECONDS, show_sensors=False)

    def state_bounds(self) -> Bounds:
        return {"row": (0, LOWEST), "column": (0, LOWEST), "paddle": (1, LOWEST - 1)}

    def begin(self, ids) -> None:
        _begin(self.world, ids)

    def advance(self, actions, rewards, terminated) -> None:
        _advance(self.world, actions, rewards, terminated)

    def look(self, ids, out) -> None:
        _look(self.world, ids, out)

    def info(self) -> dict[str, np.ndarray]:
        """`caught`: whether the ball lies on the paddle, at the end."""
        w = self.world
        return {"caught": (w.row == LOWEST) & (np.abs(w.column - w.paddle) <= 1)}

    def draw(self, copy: int) -> Canvas:
        w, i = self.world, copy
        view = Canvas((EDGE / 2, EDGE / 2 - 0.4), EDGE + 1.4, background=canvas.GROUND)
        view.box(0, 0, EDGE, EDGE, canvas.INK)
        view.box(w.paddle[i] - 1, 0, w.paddle[i] + 2, 1, canvas.AGENT)
        view.disc(w.column[i] + 0.5, LOWEST - w.row[i] + 0.5, 0.5, canvas.BALL)
        view.caption(f"{LOWEST - w.row[i]} steps to go")
        return view


@kernel
def _begin(w, ids):
    for i in ids:
        w.row[i], w.column[i] = 0, int(EDGE * uniform(w.rng_state, i))
        w.paddle[i] = 1 + int((EDGE - 2) * uniform(w.rng_state, i))


@kernel
def _advance(w, actions, rewards, terminated):
    for i in range(len(w.row)):
        w.row[i] = min(w.row[i] + 1, LOWEST)
        step = -1 if actions[i] == LEFT else 1 if actions[i] == RIGHT else 0
        w.paddle[i] = min(max(w.paddle[i] + step, 1), LOWEST - 1)
        terminated[i] = w.row[i] == LOWEST
        if terminated[i]:
            rewards[i] = 1.0 if abs(w.column[i] - w.paddle[i]) <= 1 else -1.0


@kernel
def _look(w, ids, out):
    for i in ids:
        out[i] = 0
        out[i, w.row[i], w.column[i], 0] = BRIGHT
        for j in range(-1, 2):
            out[i, LOWEST, w.paddle[i] + j, 0] = BRIGHT


CatchEnv, CatchVectorEnv = environments(Catch)
