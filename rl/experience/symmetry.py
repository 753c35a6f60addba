"""Learning from mirror images (Abdolhosseini et al. 2019, "On learning symmetric locomotion", the duplication of tuples).

Where a task is symmetric under a reflection M of states and actions, every experience (s, a, A) is
also one of (Ms, Ma, A): twice the data, and a policy that favours neither side.
"""

from collections.abc import Sequence
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
    def of(cls, env: VectorEnv) -> "Mirror | None":
        """The environment's own.

        None where it does not offer one, or a wrapper changes what it would reflect.
        """
        return cls(**env.mirror()) if isinstance(env, Mirrored) else None

    def observations(self, observations: np.ndarray) -> np.ndarray:
        """Mirror (…, O)."""
        return self.observation_sign * observations[..., self.observation_index]

    def actions(self, actions: np.ndarray) -> np.ndarray:
        """Mirror (…, A)."""
        return self.action_sign * actions[..., self.action_index]

    def to_json(self) -> dict[str, list]:
        return {name: array.tolist() for name, array in vars(self).items()}

    @classmethod
    def from_json(cls, content: dict[str, list]) -> "Mirror":
        kinds = {"index": np.int64, "sign": np.float32}
        return cls(**{name: np.array(values, kinds[name.rpartition("_")[2]]) for name, values in content.items()})


def known_mirror(mirror: Mirror | None, beside: Sequence) -> Mirror:
    """The reflection of an environment with these leaves beside the vector of its observations.

    Raises
    ------
    ValueError
        If it has none, or images or a mask, which no reflection of vectors covers.
    """
    if mirror is None or beside:
        given = f"{beside[0].kind}s, which it does not reflect" if mirror else "one without"
        raise ValueError(f"expected an environment with mirror(), to learn from mirror images, given {given}")
    return mirror
