"""Hindsight experience replay (Andrychowicz et al. 2017; Algorithm 18 of the thesis, corrected).

A trajectory that missed its goal g is a good example for another goal g′: one that it did reach.
Transitions are stored as they happened; when a batch is drawn, the share k/(k + 1) of its rows gets
the goal that some step reached, and the rewards that the same steps would have had for it:

    final      the last step of the row's episode
    future     a step of that episode, the row's own or a later one
    episode    any step of that episode
    random     any step in the memory

    r′ = R(s, s′, g′)                                                g′, not g
    binary     −[|g′ − s′| > ε]                                      of the state that is reached
    shaped     λ|g′ − s|^p − |g′ − s′|^p

An episode that goes on ends, for this, with its newest step. Observations end in the desired and
the achieved goal, see goals.py.

Shapes: B rows, G goal.
"""

from dataclasses import dataclass

import numpy as np

from rl.experience.goals import GoalVector
from rl.experience.replay import Batch, ReplayMemory

STRATEGIES = "final", "future", "episode", "random"
REWARDS = "environment", "binary", "shaped"


@dataclass(frozen=True)
class Hindsight:
    """Draws goals and batches with them.

    Attributes
    ----------
    goal : int
        G.
    strategy : str
        Of `STRATEGIES`.
    k : int
        Relabelled rows for each that stays as it was; 0 relabels none.
    reward : str
        Of `REWARDS`. "environment" asks the environment for the relabelled rows and leaves the
        others' rewards; any other replaces the rewards of all rows, so that one reward is learned
        from.
    tolerance : float
        ε of "binary".
    keep, power : float
        λ and p of "shaped".
    """

    goal: int
    strategy: str = "future"
    k: int = 4
    reward: str = "environment"
    tolerance: float = 0.05
    keep: float = 0.0
    power: float = 1.0

    def batch(
        self,
        memory: ReplayMemory,
        rows: np.ndarray,
        gamma: float,
        n_step: int,
        weights: np.ndarray | None,
        env: GoalVector,
        rng: np.random.Generator,
    ) -> Batch:
        """Like `memory.batch`, with the share k/(k + 1) of the rows relabelled."""
        relabelled = np.flatnonzero(rng.random(len(rows)) < self.k / (self.k + 1))
        steps = self.steps(memory, rows[relabelled], rng)
        goals = memory.next_observations[steps, -self.goal :]

        def rewards(at):
            return self._rewards(memory, env, at, relabelled, goals)

        def ends(at):
            terminated = memory.terminated.take(at)
            terminated[relabelled] = env.terminated(memory.next_observations[at[relabelled], -self.goal :], goals)
            return terminated

        batch = memory.batch(rows, gamma, n_step, weights, rewards, ends if env.goals_terminate else None)
        desired = slice(-2 * self.goal, -self.goal)
        batch.observations[relabelled, desired] = goals
        batch.next_observations[relabelled, desired] = goals
        return batch

    def steps(self, memory: ReplayMemory, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each row the step, as a row (B,), that reached its new goal."""
        if self.strategy == "random":
            return memory.draw(len(rows), rng)
        last, own, first = memory.episodes.steps(rows, memory.heads, memory.sizes)
        if self.strategy == "final":
            ages = last
        else:
            ages = rng.integers(last, (own if self.strategy == "future" else first) + 1)
        return memory.episodes.at(rows, ages, memory.heads)

    def _rewards(self, memory, env, at, relabelled, goals):
        """Rewards of the steps `at` (B,), some of which have other goals than they had."""
        if self.reward == "environment":
            rewards = memory.rewards.take(at)
            rewards[relabelled] = env.rewards(memory.next_observations[at[relabelled], -self.goal :], goals)
            return rewards
        reached, desired = memory.next_observations[at, -self.goal :], memory.observations[at, -2 * self.goal : -self.goal]
        desired[relabelled] = goals
        if self.reward == "binary":
            return binary(desired, reached, self.tolerance)
        return shaped(desired, memory.observations[at, -self.goal :], reached, self.keep, self.power)


def binary(goals: np.ndarray, reached: np.ndarray, tolerance: float) -> np.ndarray:
    """−[|g − s′| > ε] of rows (B, G): −1 or 0."""
    return -(np.linalg.norm(goals - reached, axis=1) > tolerance).astype(np.float32)


def shaped(goals: np.ndarray, before: np.ndarray, reached: np.ndarray, keep: float, power: float) -> np.ndarray:
    """λ|g − s|^p − |g − s′|^p of rows (B, G)."""
    old, new = (np.linalg.norm(goals - s, axis=1) for s in (before, reached))
    return np.float32(keep) * old ** np.float32(power) - new ** np.float32(power)
