"""What an on-policy learner makes of a rollout: rows with advantages and targets.

Shapes: T steps, N environments, B ≤ T·N rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rl.experience import trees
from rl.experience.minibatches import Shuffle, shuffle
from rl.experience.rollout import Rollout
from rl.experience.sequences import RolloutSequences, SequenceShuffle
from rl.experience.symmetry import Mirror
from rl.experience.trees import Observations
from rl.losses.returns import gae


class Samples(NamedTuple):
    """The rows that one update learns from.

    Attributes
    ----------
    observations : (B, …), or sequences that give as many rows
    actions : array (B, A), (B,) or (B, K)
    advantages, values, targets : arrays (B,)
        A, V_old and R = A + V_old.
    """

    observations: Any
    actions: np.ndarray
    advantages: np.ndarray
    values: np.ndarray
    targets: np.ndarray

    def shuffle(self, batch_size: int, rng: np.random.Generator) -> Shuffle | SequenceShuffle:
        """A random order of the rows, or of the pieces of sequences, in parts of about `batch_size` rows."""
        if isinstance(self.observations, RolloutSequences):
            return self.observations.shuffle(batch_size, rng)
        return shuffle(len(self.values), batch_size, rng)

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
    return samples_from(rollout, values, gae(rollout.rewards, values, next_values, rollout.ended, gamma, lam, horizon))


def samples_from(rollout: Rollout, values: np.ndarray, advantages: np.ndarray) -> Samples:
    """The steps of a rollout that happened, with values and advantages (T, N)."""
    columns = rollout.actions, advantages, values, advantages + values
    return Samples(rollout.inputs(), *map(rollout.rows, columns))


def with_reflections(samples: Samples, mirror: Mirror) -> Samples:
    """The samples, and after them their mirror images."""
    observations = trees.with_vector(samples.observations, mirror.observations(trees.vector(samples.observations)))
    reflected = observations, mirror.actions(samples.actions), *samples[2:]
    return Samples(*(trees.concatenate(pair) for pair in zip(samples, reflected, strict=True)))
