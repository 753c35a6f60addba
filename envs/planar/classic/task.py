"""What the classic tasks share: their variants, as Duan et al. (2016) have them.

LS  limited sensors        `positions_only`: no velocities among the observations
NO  noise and delay        `noise` σ: N(0, σ²) on each observation; `delay` steps until an action acts, zeros before the first
SI  system identification  `random_body`: lengths, and masses with them, are drawn for every episode

The limits of an episode, 500 steps, and all rewards, starts and ends are those of the paper's public code, rllab. The mechanics
are written here: equations of motion of rigid rods, integrated by a Runge–Kutta step of fourth order.

Shapes: N copies, S numbers of a situation, C of a body, D steps of delay, O observations; one action each.
"""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces

from envs.checks import Bounds, check_whole
from envs.kernels import kernel, normal, uniform
from envs.planar.game import Game


class World(NamedTuple):
    rng_state: np.ndarray  # (N,) uint64
    x: np.ndarray  # (N, S) float64: positions and velocities
    body: np.ndarray  # (N, C) float64: metres
    waiting: np.ndarray  # (N, D) float32: actions that do not act yet, the oldest first
    noise: np.ndarray  # (N, O) float32: of the present observations; O = 0 without


class ClassicTask(Game):
    """N copies of a task with one action in [−1, 1].

    Parameters
    ----------
    num_envs : int
        N.
    positions_only : bool
        Observe no velocities.
    noise : float
        σ of the noise on each observation.
    delay : int
        Steps until an action acts, D.
    random_body : bool
        Draw the body's lengths for every episode.

    Raises
    ------
    ValueError
        If the noise is negative or not finite, or the delay no integer >= 0.
    """

    seconds: ClassVar[float]  # of a step
    situation: ClassVar[int]  # S
    bodies: ClassVar[tuple[tuple[float, float, float], ...]]  # of each length: as it is, and between what it is drawn
    positions: ClassVar[tuple[int, ...]]  # which observations are positions
    observations: ClassVar[int]  # of all

    def __init__(
        self,
        num_envs: int = 1,
        positions_only: bool = False,
        noise: float = 0.0,
        delay: int = 0,
        random_body: bool = False,
    ):
        n, delay = check_whole("num_envs", num_envs, 1), check_whole("delay", delay, 0)
        if not (np.isfinite(noise) and noise >= 0):
            raise ValueError(f"expected noise >= 0, given {noise}")
        shown = self.positions if positions_only else range(self.observations)
        self._columns, self._noise = np.array(shown), np.float32(noise)
        as_is, low, high = np.array(self.bodies).T
        self._random_body, self._least, self._most = random_body, low, high
        world = World(
            np.zeros(n, np.uint64),
            np.zeros((n, self.situation)),
            np.tile(as_is, (n, 1)),
            np.zeros((n, delay), np.float32),
            np.zeros((n, len(self._columns) if noise else 0), np.float32),
        )
        observations = spaces.Box(-np.inf, np.inf, (len(self._columns),), np.float32)
        super().__init__(world, observations, spaces.Box(-1, 1, (1,), np.float32), self.seconds, show_sensors=False)
        self._full = np.zeros((n, self.observations), np.float32)

    def state_bounds(self) -> Bounds:
        return {"body": (float(self._least.min()), float(self._most.max()))}

    def begin(self, ids) -> None:
        w = self.world
        if self._random_body:
            _draw_bodies(w.rng_state, ids, w.body, self._least, self._most)
        self.start(ids)
        if w.waiting.size:
            w.waiting[ids] = 0
        if w.noise.size:
            _draw_noise(w.rng_state, ids, w.noise, self._noise)

    def advance(self, actions, rewards, terminated) -> None:
        w = self.world
        if w.waiting.size:
            actions = _exchange(w.waiting, actions)
        self.move(actions, rewards, terminated)
        if w.noise.size:
            _draw_noise(w.rng_state, self._all, w.noise, self._noise)

    def look(self, ids, out) -> None:
        if len(self._columns) == self.observations:
            self.sense(ids, out)
        else:
            self.sense(ids, self._full)
            out[ids] = self._full[ids][:, self._columns]
        if self.world.noise.size:
            out[ids] += self.world.noise[ids]

    @abstractmethod
    def start(self, ids: np.ndarray) -> None:
        """New situations in the copies `ids`, whose bodies have been drawn."""

    @abstractmethod
    def move(self, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray) -> None:
        """One step under actions (N, 1) that act now; writes rewards (N,) and terminated (N,)."""

    @abstractmethod
    def sense(self, ids: np.ndarray, out: np.ndarray) -> None:
        """Write all observations, without noise, of the copies `ids` into their rows of out (N, O)."""


def _exchange(waiting, actions):
    """Actions (N, 1) join those that wait (N, D), and the oldest leave: (N, 1)."""
    oldest = waiting[:, :1].copy()
    waiting[:, :-1] = waiting[:, 1:]
    waiting[:, -1:] = actions
    return oldest


@kernel
def _draw_bodies(rng_state, ids, body, low, high):
    for i in ids:
        for j in range(body.shape[1]):
            body[i, j] = low[j] + (high[j] - low[j]) * uniform(rng_state, i)


@kernel
def _draw_noise(rng_state, ids, noise, sigma):
    for i in ids:
        for j in range(noise.shape[1]):
            noise[i, j] = sigma * normal(rng_state, i)


@kernel
def runge_kutta(slope, x, u, body, seconds, work) -> None:
    """Move x (S,) on by one step of ẋ = slope(x, u, body).

    Parameters
    ----------
    slope : kernel
        `slope(x, u, body, out)` writes ẋ into out (S,).
    work : array (3, S)
        For numbers on the way.
    """
    k, at, start = work
    start[:] = x
    at[:] = x
    for weight, reach in ((1 / 6, 1 / 2), (1 / 3, 1 / 2), (1 / 3, 1.0), (1 / 6, 0.0)):
        slope(at, u, body, k)
        for j in range(len(x)):
            x[j] += weight * seconds * k[j]
            at[j] = start[j] + reach * seconds * k[j]


@kernel
def show(x, ids, out) -> None:
    """Write the situations x (N, S) of the copies `ids` into out (N, S), as they are."""
    for i in ids:
        for j in range(x.shape[1]):
            out[i, j] = x[i, j]


@kernel
def between(rng_state, i, low, high) -> float:
    """A number between `low` and `high` from copy i's stream."""
    return low + (high - low) * uniform(rng_state, i)


@kernel
def clipped(action) -> float:
    """An action, in [−1, 1]."""
    return min(max(np.float64(action), -1.0), 1.0)
