"""Learning from mirror images (Abdolhosseini et al. 2019, "On learning symmetric locomotion", the duplication of tuples).

Where a task is symmetric under a reflection M of states and actions, every experience (s, a, A) is also one of (Ms, Ma, A):
twice the data, and a policy that favours neither side.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from gymnasium.vector import VectorEnv


@runtime_checkable
class Mirrored(Protocol):
    """An environment that knows its reflection."""

    def mirror(self) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class Mirror:
    """A reflection of observations and actions: mirrored = sign · original[index].

    Attributes
    ----------
    observation_index, observation_sign : arrays (O,)
    action_index, action_sign : arrays (A,)
    """

    observation_index: np.ndarray
    observation_sign: np.ndarray
    action_index: np.ndarray
    action_sign: np.ndarray

    @classmethod
    def of(cls, env: VectorEnv) -> "Mirror":
        """The environment's own.

        Raises
        ------
        ValueError
            If it does not offer one.
        """
        if not isinstance(env.unwrapped, Mirrored):
            raise ValueError(f"expected an environment with mirror(), given {env}")
        return cls(**env.unwrapped.mirror())

    def observations(self, observations: np.ndarray) -> np.ndarray:
        """Mirror (…, O)."""
        return self.observation_sign * observations[..., self.observation_index]

    def actions(self, actions: np.ndarray) -> np.ndarray:
        """Mirror (…, A)."""
        return self.action_sign * actions[..., self.action_index]
