"""What an agent needs to know of an environment's spaces, and nothing more: it can be written to a file as JSON.

Shapes: N environments, O observation, A action dimensions.
"""

import math
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from gymnasium import spaces


@dataclass(frozen=True)
class SpaceInfo:
    """Sizes and bounds.

    Attributes
    ----------
    observation_shape : tuple of int
        Of one observation; agents see it flattened.
    actions : int
        Action dimensions A, or number of choices C.
    discrete : bool
        Whether actions are choices.
    start : int
        First choice's number.
    low, high : tuple of float or None
        Bounds of each action dimension; None where the space is unbounded.
    action_shape : tuple of int
        Of one action as the environment wants it.
    goal : int
        Size G of a goal: observations end in the desired and the achieved one. 0 without goals.
    """

    observation_shape: tuple[int, ...]
    actions: int
    discrete: bool
    start: int = 0
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    action_shape: tuple[int, ...] = ()
    goal: int = 0

    @classmethod
    def of(cls, observation_space: spaces.Space, action_space: spaces.Space, goal: int = 0) -> "SpaceInfo":
        """Read a single environment's spaces; `goal` is the size of its goals.

        Raises
        ------
        ValueError
            For spaces that no agent here can handle.
        """
        if not isinstance(observation_space, spaces.Box):
            raise ValueError(f"expected a Box of observations (flatten others with a Gymnasium wrapper), given {observation_space}")
        shape = tuple(observation_space.shape)
        if isinstance(action_space, spaces.Discrete):
            return cls(shape, int(action_space.n), True, int(action_space.start), goal=goal)
        if not isinstance(action_space, spaces.Box) or action_space.dtype.kind != "f":
            raise ValueError(f"expected actions in a Box of floats or a Discrete space, given {action_space}")
        finite = np.isfinite([action_space.low, action_space.high])
        size = math.prod(action_space.shape)
        if finite.all():
            low, high = (tuple(map(float, bound.ravel())) for bound in (action_space.low, action_space.high))
            return cls(shape, size, False, 0, low, high, tuple(action_space.shape), goal)
        if finite.any():
            raise ValueError(f"expected action bounds that are all finite or all infinite, given {action_space}")
        return cls(shape, size, False, action_shape=tuple(action_space.shape), goal=goal)

    @property
    def observations(self) -> int:
        """O: values in one flattened observation."""
        return math.prod(self.observation_shape)

    def require_bounded(self) -> None:
        """Raise ValueError unless actions are continuous and bounded, as learners with squashed actions need them."""
        if self.discrete:
            raise ValueError(f"expected continuous actions (a Box), given Discrete({self.actions})")
        if self.low is None:
            raise ValueError("expected bounded actions (a Box with finite low and high), given an unbounded Box")

    def flatten(self, observations: np.ndarray) -> np.ndarray:
        """Observations (N, *observation_shape) as (N, O)."""
        return observations.reshape(len(observations), self.observations)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """The agent's actions (N, A) or choices (N,) as the environment wants them.

        The agent acts in [−1, 1]: its actions are clipped to that and stretched onto the space's bounds.
        """
        if self.discrete:
            return actions + self.start
        if self.low is not None:
            low, high, half = self._bounds
            inside = np.minimum(np.maximum(actions, -1), 1)
            actions = np.minimum(np.maximum(low + (inside + 1) * half, low), high)  # against rounding
        return actions.reshape(len(actions), *self.action_shape)

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        low, high = np.float32(self.low), np.float32(self.high)
        return low, high, 0.5 * (high - low)

    def check(self, other: "SpaceInfo") -> None:
        """Raise ValueError unless `other` is the same."""
        for name, expected in asdict(self).items():
            given = getattr(other, name)
            if given != expected:
                raise ValueError(f"environment does not fit the agent: expected {name} {expected}, given {given}")

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict) -> "SpaceInfo":
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in content.items()})
