"""What the planar games share: N copies as arrays, random numbers inside the kernels, observations, states.

A game's `World` is a NamedTuple of arrays, a row for each copy. Kernels read and write it by name, and it is the whole state of
the game. One kernel computes the observations from the world alone, so a restored world gives the same observations.

Shapes: N copies, O observations.
"""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from gymnasium import spaces

from envs.core import Core
from envs.kernels import seeds
from envs.planar.canvas import Canvas
from envs.planar.raster import check_pixels, picture_space


class Game(Core):
    """N copies of a planar game.

    Parameters
    ----------
    world : NamedTuple of arrays (N, …)
        With a field `rng_state` (N,) uint64, each copy's stream of random numbers.
    observation_space, action_space : gymnasium.spaces.Space
        Of a single copy.
    seconds : float
        Of a decision.
    show_sensors : bool
        Draw what the sensors detect as well.
    pixels : bool or int
        Observe small pictures (raster.py) in the place of the sensors; see `check_pixels`.

    Raises
    ------
    ValueError
        If `pixels` is none of these, or sensors are to be shown that are not used.
    """

    def __init__(
        self,
        world,
        observation_space: spaces.Box | spaces.Discrete,
        action_space: spaces.Space,
        seconds: float,
        show_sensors: bool,
        pixels: bool | int = False,
    ):
        self.num_envs, self.pixels = len(world.rng_state), check_pixels(pixels)
        if show_sensors and self.pixels:
            raise ValueError("expected pixels=False to show sensors, given both")
        self.observation_space = picture_space(self.pixels) if self.pixels else observation_space
        self.action_space = action_space
        self.render_fps = 1 / seconds
        self.show_sensors = show_sensors
        self.world = world
        shape = (self.num_envs, *(self.observation_space.shape or ()))
        self._observations = np.zeros(shape, self.observation_space.dtype)
        self._all = np.arange(self.num_envs)

    def reset(self, ids: np.ndarray, rngs: list[np.random.Generator]) -> None:
        self.world.rng_state[ids] = seeds([rngs[i] for i in ids])
        self.begin(ids)
        self.look(ids, self._observations)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rewards, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        self.advance(actions, rewards, terminated)
        self.look(self._all, self._observations)
        return rewards, terminated

    def observe(self) -> np.ndarray:
        return self._observations.copy()

    def render(self, copy: int) -> np.ndarray:
        return self.draw(copy).picture()

    def state(self) -> dict[str, np.ndarray]:
        return {name: array.copy() for name, array in self.world._asdict().items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        for name, array in self.world._asdict().items():
            array[:] = state[name]
        self.look(self._all, self._observations)

    def close(self) -> None:
        pass

    @abstractmethod
    def begin(self, ids: np.ndarray) -> None:
        """New episodes in the copies `ids`, whose random streams are fresh."""

    @abstractmethod
    def advance(self, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray) -> None:
        """One decision in every copy; writes rewards (N,) and terminated (N,)."""

    @abstractmethod
    def look(self, ids: np.ndarray, out: np.ndarray) -> None:
        """Write the observations of the copies `ids` into their rows of out (N, …)."""

    @abstractmethod
    def draw(self, copy: int) -> Canvas:
        """One copy from above."""
