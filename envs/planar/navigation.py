"""deepnp/Navigation-v0: find the origin of an n-dimensional space; the thesis on training dynamics learns it in 2 to 50.

Observation (n)     the position x
Action (n)          a move of −1 … 1 along each axis
Reward              (‖x_t‖ − ‖x_t+1‖)/√n: the return is the first distance minus the last, for any path
End                 none; 1,000 steps is the limit

A position starts at a draw of N(0, 1) along each axis, so at a distance of about √n: the best return is about 1.
"""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from envs.checks import check_whole
from envs.kernels import kernel
from envs.pair import environments
from envs.planar import canvas
from envs.planar.canvas import Canvas
from envs.planar.game import Game

SECONDS = 0.1
BARS = 50  # coordinates that fit into a picture


class World(NamedTuple):
    rng_state: np.ndarray  # (N,) uint64; not used
    x: np.ndarray  # (N, n)


class Navigation(Game):
    """N points in n dimensions.

    Parameters
    ----------
    num_envs : int
        N.
    n : int
        Dimensions.
    """

    def __init__(self, num_envs: int = 1, n: int = 2):
        copies, n = check_whole("num_envs", num_envs, 1), check_whole("n", n, 1)
        world = World(np.zeros(copies, np.uint64), np.zeros((copies, n), np.float32))
        observations, actions = spaces.Box(-np.inf, np.inf, (n,), np.float32), spaces.Box(-1, 1, (n,), np.float32)
        super().__init__(world, observations, actions, SECONDS, show_sensors=False)

    def reset(self, ids, rngs) -> None:
        for i in ids:
            self.world.x[i] = rngs[i].standard_normal(self.world.x.shape[1], np.float32)
        self.look(ids, self._observations)

    def begin(self, ids) -> None:
        pass

    def advance(self, actions, rewards, terminated) -> None:
        _advance(self.world.x, actions, rewards)

    def look(self, ids, out) -> None:
        out[ids] = self.world.x[ids]

    def info(self) -> dict[str, np.ndarray]:
        """`distance` to the origin."""
        return {"distance": _distances(self.world.x)}

    def draw(self, copy: int) -> Canvas:
        x = self.world.x[copy]
        span = max(8.4, 2.3 * float(np.abs(x).max())) if len(x) == 2 else 8.4
        view = Canvas((0, -0.025 * span), span, background=canvas.GROUND)
        caption = f"distance {np.linalg.norm(x):.2f}"
        if len(x) == 2:
            for ring in (3, 2, 1):
                view.disc(0, 0, ring, outline=canvas.FAINT, width=0.03)
            view.line([(-4, 0), (4, 0)], canvas.FAINT, 0.02)
            view.line([(0, -4), (0, 4)], canvas.FAINT, 0.02)
            view.disc(0, 0, 0.14, canvas.GOLD)
            view.line([(0, 0), x], f"{canvas.AGENT}60", 0.05)
            view.disc(*x, 0.18, canvas.AGENT)
        else:
            shown = x[:BARS]
            width = 7.6 / len(shown)
            view.line([(-4, 0), (4, 0)], canvas.GOLD, 0.06)
            for k, height in enumerate(np.clip(shown, -3.6, 3.6)):
                left = -3.8 + k * width
                view.box(left + 0.1 * width, min(height, 0), left + 0.9 * width, max(height, 0), canvas.AGENT)
            caption += f"     the {len(shown)} coordinates" if len(shown) == len(x) else f"     {BARS} of {len(x)} coordinates"
        view.caption(caption)
        return view


@kernel
def _advance(x, actions, rewards):
    one = np.float32(1)
    for i in range(len(x)):
        before, after = 0.0, 0.0
        for j in range(x.shape[1]):
            before += np.float64(x[i, j]) ** 2
            x[i, j] += min(max(actions[i, j], -one), one)
            after += np.float64(x[i, j]) ** 2
        rewards[i] = (np.sqrt(before) - np.sqrt(after)) / np.sqrt(x.shape[1])


@kernel
def _distances(x):
    out = np.zeros(len(x))
    for i in range(len(x)):
        for j in range(x.shape[1]):
            out[i] += np.float64(x[i, j]) ** 2
        out[i] = np.sqrt(out[i])
    return out


NavigationEnv, NavigationVectorEnv = environments(Navigation)
