"""Double Q-learning (van Hasselt 2010).

    repeat
        a ← ε-greedy of Q_A + Q_B in s; step to r, s′                 in N environments
        with probability ½
            Q_A(s, a) ← Q_A(s, a) + α (r + γ Q_B(s′, argmax_a′ Q_A(s′, a′)) − Q_A(s, a))
        else the same with A and B exchanged                          Q(s′, ·) = 0 where s′ terminated

The largest of noisy values is too large: E max_a (Q + noise) ≥ max_a Q. Here one table chooses a′, and the other one,
whose noise is its own, says what it is worth. That errs on the low side, if at all.

Deviations: none with N = 1, ω = 0. The policy's table is (Q_A + Q_B)/2.

Shapes: N environments, S states, A actions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

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
class DoubleQLearningConfig(TableConfig):
    """Settings of Double Q-learning."""

    algorithm: ClassVar[str] = "DoubleQLearning"


class DoubleQLearning(Agent):
    """A Double Q-learning agent: `DoubleQLearning(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> DoubleQLearning("FrozenLake-v1", seed=0).learn(200_000)
    """

    Config = DoubleQLearningConfig
    takes = TABLE
    iterate, act, explore = online.iterate, steps.act, steps.explore

    def build(self) -> None:
        self.rngs = spawn_rngs(self.seed, "actions", "coins", "environment")
        self.policy, visits = steps.table_of(self.space, self.config)
        self.tables = Arrays(values=np.stack([self.policy.values.data] * 2), count=np.stack([visits] * 2))

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "tables": self.tables}

    def update(self, t: Transitions) -> float:
        """Learn from one step of all environments; returns the mean of |TD error|."""
        c, coins = self.now, self.rngs["coins"].integers(2, size=len(t.states))
        tables = self.tables["values"], self.tables["count"]
        error = steps.run(_learn, self.policy.values.data, *tables, coins, t, c.gamma, c.lr, c.decay)
        check_finite("TD error", error)
        return error


@exact_kernel
def _learn(mean, both, visits, coins, t, gamma, lr, decay) -> float:
    total = 0.0
    for n in range(len(t.states)):
        if t.valid[n]:
            q, other, s, a = both[coins[n]], both[1 - coins[n]], t.states[n], t.actions[n]
            to_come = 0.0
            if not t.terminated[n]:
                to_come = gamma * other[t.next_states[n], steps.best_action(q, t.next_states[n])]
            total += abs(steps.step_towards(q, visits[coins[n]], s, a, t.rewards[n] + to_come, lr, decay))
            mean[s, a] = 0.5 * (q[s, a] + other[s, a])
    return total / len(t.states)
