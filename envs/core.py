"""The contract of an environment: N copies stepped at once.

A core knows the task and nothing of episodes' bookkeeping. `vector.py` wraps one as a
`gymnasium.vector.VectorEnv`, `single.py` wraps one with N = 1 as a `gymnasium.Env`.

Shapes: N copies, O observations, A actions.
"""

from abc import ABC, abstractmethod

import numpy as np
from gymnasium import spaces


class Core(ABC):
    """N copies of one task.

    Attributes
    ----------
    num_envs : int
        N.
    observation_space, action_space : gymnasium.spaces.Space
        Of a single copy.
    render_fps : float
        Decisions a second of simulated time.
    """

    num_envs: int
    observation_space: spaces.Space
    action_space: spaces.Space
    render_fps: float

    @abstractmethod
    def reset(self, ids: np.ndarray, rngs: list[np.random.Generator]) -> None:
        """Begin new episodes in the copies `ids` (int array), drawing from `rngs[i]` for copy i."""

    @abstractmethod
    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Advance every copy by one decision: actions (N, …) -> rewards (N,) float64, terminated (N,) bool."""

    @abstractmethod
    def observe(self) -> np.ndarray | dict[str, np.ndarray]:
        """Observations of all copies in a new array (N, O), float32; or a dictionary of such, if the space is one."""

    @abstractmethod
    def info(self) -> dict[str, np.ndarray]:
        """What a person would like to know of each copy: name -> array (N,)."""

    @abstractmethod
    def render(self, copy: int) -> np.ndarray:
        """One copy as a picture (height, width, 3), uint8."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Everything that `set_state` needs to continue bit for bit."""

    @abstractmethod
    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from a `state()`."""

    @abstractmethod
    def close(self) -> None:
        """Give back windows and threads."""


def check_actions(actions, space: spaces.Space, shape: tuple[int, ...]) -> np.ndarray:
    """Actions as an array of `shape`, or a ValueError that says what was wrong with them."""
    array = np.asarray(actions)
    if array.shape != shape:
        raise ValueError(f"expected actions of shape {shape}, given {array.shape}")
    if isinstance(space, spaces.Box):
        if array.dtype.kind not in "fiu":
            raise ValueError(f"expected real-valued actions, given dtype {array.dtype}")
        finite = np.isfinite(array)
        if not finite.all():
            where = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(f"expected finite actions, given {array[where]} at index {where}")
        return array
    if array.dtype.kind not in "iu":
        raise ValueError(f"expected integer actions, given dtype {array.dtype}")
    inside = (array >= space.start) & (array < space.start + space.n)
    if not inside.all():
        raise ValueError(f"expected actions in [{space.start}, {space.start + space.n}), given {array[~inside][0]}")
    return array
