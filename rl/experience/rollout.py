"""T steps of N environments, as on-policy learners take them.

Shapes: T steps, N environments, B rows, O observation, A action dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from rl.experience import trees
from rl.experience.collector import Step
from rl.experience.sequences import Ends, RolloutSequences
from rl.experience.trees import Observations


@dataclass
class Rollout:
    """T steps of N environments.

    Attributes
    ----------
    observations : (T, N, …)
        As the policy saw them.
    actions : array (T, N, A), (T, N) or (T, N, K)
        As the policy drew them: not clipped, not stretched.
    rewards : array (T, N)
        As the learner wants them.
    terminated, truncated : bool arrays (T, N)
    valid : bool array (T, N)
        False for steps that never happened: after an episode's end, a NEXT_STEP environment ignores
        one action.
    last : (N, …)
        Observations after the last step.
    final : dict of (int, int) to an observation (1, …)
        Of each truncated (t, n) in SAME_STEP mode: the observation that the reset replaced.
    sequences : RolloutSequences or None
        The same observations as networks with memory take them, where the agent has such.
    """

    observations: Observations
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    last: Observations
    final: dict[tuple[int, int], Observations] = field(default_factory=dict)
    sequences: RolloutSequences | None = None

    @classmethod
    def empty(cls, steps: int, observations: Observations, action_shape: tuple[int, ...], action_dtype: type) -> Self:
        """Room for T = `steps` steps with observations like these (N, …), and such actions."""
        copies = trees.length(observations)
        rows = trees.each(lambda part: np.empty((steps, *part.shape), part.dtype), observations)
        actions, rewards = np.empty((steps, copies, *action_shape), action_dtype), np.empty((steps, copies), np.float32)
        terminated, truncated, valid = np.empty((3, steps, copies), bool)
        return cls(rows, actions, rewards, terminated, truncated, valid, last=observations)

    def write(self, t: int, observations: Observations, actions: np.ndarray, rewards: np.ndarray, step: Step) -> None:
        """Enter step t: what the policy saw and did, the rewards (N,) as the learner wants them, and how it ended."""
        trees.write(self.observations, t, observations)
        self.actions[t], self.rewards[t] = actions, rewards
        self.terminated[t], self.truncated[t], self.valid[t] = step.terminated, step.truncated, step.valid

    def until(self, steps: int) -> Self:
        """The first steps alone: views."""
        names = "actions", "rewards", "terminated", "truncated", "valid"
        observations = trees.each(lambda part: part[:steps], self.observations)
        return replace(self, observations=observations, **{name: getattr(self, name)[:steps] for name in names})

    @property
    def ended(self) -> np.ndarray:
        """Last steps of episodes, however they ended, and steps that never happened: (T, N)."""
        return self.terminated | self.truncated | ~self.valid

    def rows(self, column: Observations) -> Observations:
        """A column (T, N, …) as rows (B, …): of the steps that happened, in their order."""
        if self.valid.all():  # in place
            return trees.flat(column)
        return trees.at(column, self.valid)

    def following(self) -> Observations:
        """What was seen after each step, in its episode: (T, N, …)."""
        after = trees.each(lambda part, last: np.concatenate([part[1:], last[None]]), self.observations, self.last)
        for place, observation in self.final.items():
            trees.write(after, place, trees.at(observation, 0))
        return after

    def inputs(self) -> Observations | RolloutSequences:
        """What networks read for the steps that happened: rows (B, …), or sequences that give as many."""
        return self.rows(self.observations) if self.sequences is None else replace(self.sequences, valid=self.valid)

    def values(self, value: Callable[[Any], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """V(s_t), and V(s_{t+1}) of the same episode (0 where it terminated): two arrays (T, N).

        `value` maps observations (B, …), or sequences that give B rows, to (B,); or to several numbers
        (B, F), such as features: then both arrays are (T, N, F).
        """
        steps, copies = self.rewards.shape
        out = value(self._with_ends())
        values = out[: steps * copies].reshape(steps, copies, *out.shape[1:])
        following = np.concatenate([values[1:], out[None, steps * copies : (steps + 1) * copies]])
        for (t, n), v in zip(self.final, out[(steps + 1) * copies :], strict=True):
            following[t, n] = v
        terminated = self.terminated.reshape(steps, copies, *(1,) * (out.ndim - 1))
        return values, np.where(terminated, 0, following).astype(values.dtype)

    def _with_ends(self):
        """All observations: of each step, whether it happened or not, then the last ones, then the final ones."""
        ends = trees.concatenate([self.last, *self.final.values()])
        steps, copies = self.rewards.shape
        if self.sequences is None:
            return trees.concatenate([trees.flat(self.observations), ends])
        after, environments = np.array([*((steps - 1, n) for n in range(copies)), *self.final]).T
        return replace(self.sequences, valid=np.ones_like(self.valid), ends=Ends(ends, after, environments))
