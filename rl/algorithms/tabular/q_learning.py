"""Q-learning (Watkins 1989; Watkins & Dayan 1992).

    repeat
        a ← ε-greedy in s; step to r, s′                              in N environments
        Q(s, a) ← Q(s, a) + α (r + γ max_a′ Q(s′, a′) − Q(s, a))      max … = 0 where s′ terminated

It learns the best policy's values, whatever policy explores: value iteration on single samples.

Deviations: none with N = 1, ω = 0. N environments are learned from one after the other.

Shapes: N environments, S states, A actions.
"""

from dataclasses import dataclass
from typing import ClassVar

from deepnp.backend import exact_kernel
from rl.agent import Agent
from rl.algorithms.tabular import steps
from rl.algorithms.tabular.config import TableConfig
from rl.experience.visits import Arrays, Transitions
from rl.loops import online
from rl.losses.checks import check_finite
from rl.names import explained_class
from rl.state import Part, spawn_rngs
from rl.takes import TABLE


@explained_class
@dataclass(frozen=True)
class QLearningConfig(TableConfig):
    """Settings of Q-learning."""

    algorithm: ClassVar[str] = "QLearning"


class QLearning(Agent):
    """A Q-learning agent: `QLearning(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> QLearning("FrozenLake-v1", QLearningConfig(exploration=0.3), seed=0).learn(200_000)
    """

    Config = QLearningConfig
    takes = TABLE
    iterate, act, explore = online.iterate, steps.act, steps.explore

    def build(self) -> None:
        self.rngs = spawn_rngs(self.seed, "actions", "environment")
        self.policy, visits = steps.table_of(self.space, self.config)
        self.visits = Arrays(count=visits)

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "visits": self.visits}

    def update(self, t: Transitions) -> float:
        """Learn from one step of all environments; returns the mean of |TD error|."""
        c = self.now
        error = steps.run(_learn, self.policy.values.data, self.visits["count"], t, c.gamma, c.lr, c.decay)
        check_finite("TD error", error)
        return error


@exact_kernel
def _learn(q, visits, t, gamma, lr, decay) -> float:
    total = 0.0
    for n in range(len(t.states)):
        if t.valid[n]:
            to_come = 0.0 if t.terminated[n] else gamma * q[t.next_states[n]].max()
            total += abs(steps.step_towards(q, visits, t.states[n], t.actions[n], t.rewards[n] + to_come, lr, decay))
    return total / len(t.states)
