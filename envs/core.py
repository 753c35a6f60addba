"""The contract of an environment: N copies stepped at once.

A core knows the task and nothing of episodes' bookkeeping. `vector.py` wraps one as a
`gymnasium.vector.VectorEnv`, `single.py` wraps one with N = 1 as a `gymnasium.Env`.

Shapes: N copies, O observations, A actions.
"""

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from envs.checks import Bounds, check_state

RENDER_MODES = ("rgb_array",)


class Core(ABC):
    """N copies of one task.

    A core can be copied, pickled, and used in a forked process: it is constructed again with the same arguments and put into
    the same state.

    Attributes
    ----------
    num_envs : int
        N.
    observation_space, action_space : gymnasium.spaces.Space
        Of a single copy.
    render_fps : float
        Decisions a second of simulated time.
    process : int
        The process in which it was constructed. Native threads and graphics do not follow into another.
    offers : tuple of str
        Methods that the environments over it have too.
    """

    num_envs: int
    observation_space: spaces.Space
    action_space: spaces.Space
    render_fps: float
    process: int
    offers: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *args, **kwargs):
        core = super().__new__(cls)
        core._arguments, core.process = (args, kwargs), os.getpid()
        return core

    def __reduce__(self):
        return _construct, (type(self), *self._arguments, self.state())

    def offered(self, name: str) -> Callable:
        """The method of this name that the core `offers`."""
        return getattr(self, name)

    @abstractmethod
    def reset(self, ids: np.ndarray, rngs: list[np.random.Generator]) -> None:
        """Begin new episodes in the copies `ids` (int array), drawing from `rngs[i]` for copy i."""

    @abstractmethod
    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every copy by one decision: actions (N, …) -> rewards (N,) float64, terminated (N,) bool.

        Actions are as `check_actions` returns them; beyond a Box they are clipped to it, unless the task says otherwise.
        """

    @abstractmethod
    def observe(self) -> np.ndarray | dict[str, np.ndarray]:
        """Observations of all copies in a new array (N, O), float32, or (N, H, W, C), uint8; or a dictionary of such."""

    @abstractmethod
    def info(self) -> dict[str, np.ndarray]:
        """What a person would like to know of each copy: name -> new array (N,)."""

    @abstractmethod
    def render(self, copy: int) -> np.ndarray:
        """One copy as a picture (height, width, 3), uint8."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Everything that `set_state` needs to continue bit for bit, in new arrays."""

    def state_bounds(self) -> Bounds:
        """The smallest and largest value that an array of the state may hold; whatever is finite where none are given."""
        return {}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a `state()`.

        Raises
        ------
        ValueError
            If names, shapes, dtypes or values are not those of this core; then nothing has changed.
        """
        check_state(state, self.state(), self.state_bounds())
        self.restore(state)

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state that has been checked."""

    @abstractmethod
    def close(self) -> None:
        """Give back windows; may be called again."""


def _construct(cls: type[Core], args: tuple, kwargs: dict[str, Any], state: dict[str, np.ndarray]) -> Core:
    core = cls(*args, **kwargs)
    core.restore(state)
    return core


class OverCore:
    """What the single and the vector environment share: the core, and how it is rendered.

    Parameters
    ----------
    core : Core
    render_mode : {"rgb_array", None}
        What `render()` returns.

    Raises
    ------
    ValueError
        If the render mode is another.
    """

    def __init__(self, core: Core, render_mode: str | None):
        if render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"expected render_mode None or one of {list(RENDER_MODES)}, given {render_mode!r}")
        self._core, self.render_mode = core, render_mode

    @property
    def core(self) -> Core:
        """The core; in a forked process, a copy of its own."""
        if self._core.process != os.getpid():
            self._core = copy.deepcopy(self._core)
        return self._core
