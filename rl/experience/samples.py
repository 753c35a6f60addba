"""What an on-policy learner makes of a rollout: rows with advantages and targets.

Shapes: T steps, N environments, B ≤ T·N rows.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rl.experience import trees
from rl.experience.rollout import Rollout
from rl.experience.symmetry import Mirror
from rl.experience.trees import Observations
from rl.losses.returns import gae


class Samples(NamedTuple):
    """The rows that one update learns from.

    Attributes
    ----------
    observations : (B, …)
    actions : array (B, A), (B,) or (B, K)
    advantages, values, targets : arrays (B,)
        A, V_old and R = A + V_old.
    """

    observations: Observations
    actions: np.ndarray
    advantages: np.ndarray
    values: np.ndarray
    targets: np.ndarray

    def explained_variance(self) -> float:
        """How much of the targets' variance the values explain: 1 all, 0 none (or there is none)."""
        variance = float(np.var(self.targets))
        return 1 - float(np.var(self.targets - self.values)) / variance if variance > 0 else 0.0


def samples_of(
    rollout: Rollout, value: Callable[[Observations], np.ndarray], gamma: float, lam: float, horizon: int | None
) -> Samples:
    """The steps of a rollout that happened, with their generalised advantages.

    Parameters
    ----------
    rollout : Rollout
    value : callable
        Observations (B, …) -> V (B,).
    gamma, lam, horizon
        See `rl.losses.returns.gae`.
    """
    values, next_values = rollout.values(value)
    advantages = gae(rollout.rewards, values, next_values, rollout.ended, gamma, lam, horizon)
    columns = Samples(rollout.observations, rollout.actions, advantages, values, advantages + values)
    return Samples(*map(rollout.rows, columns))


def with_reflections(samples: Samples, mirror: Mirror) -> Samples:
    """The samples, and after them their mirror images."""
    observations = trees.with_vector(samples.observations, mirror.observations(trees.vector(samples.observations)))
    reflected = observations, mirror.actions(samples.actions), *samples[2:]
    return Samples(*(trees.concatenate(pair) for pair in zip(samples, reflected, strict=True)))
