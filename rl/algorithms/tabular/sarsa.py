"""SARSA (Rummery & Niranjan 1994).

    a ← ε-greedy in s
    repeat
        step to r, s′;  a′ ← ε-greedy in s′                           in N environments
        Q(s, a) ← Q(s, a) + α (r + γ Q(s′, a′) − Q(s, a))             Q(s′, ·) = 0 where s′ terminated
        s, a ← s′, a′

a′ is the action that is taken next. So Q belongs to the policy that explores, slips and all: policy iteration on
single samples. Beside a cliff it keeps off the edge, where Q-learning walks along it.

Deviations: none with N = 1, ω = 0. Where an episode was truncated, a′ is drawn but not taken.

Shapes: N environments, S states, A actions.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deepnp.backend import exact_kernel
from rl.agent import Agent
from rl.algorithms.tabular import steps
from rl.algorithms.tabular.config import TableConfig
from rl.experience.visits import Arrays, Planned, Transitions
from rl.loops import online
from rl.losses.checks import check_finite
from rl.names import explained_class
from rl.state import Part, spawn_rngs
from rl.takes import TABLE


@explained_class
@dataclass(frozen=True)
class SARSAConfig(TableConfig):
    """Settings of SARSA."""

    algorithm: ClassVar[str] = "SARSA"


class SARSA(Agent):
    """A SARSA agent: `SARSA(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> SARSA("CliffWalking-v1", seed=0).learn(50_000)
    """

    Config = SARSAConfig
    takes = replace(TABLE, on_policy=True)
    iterate, act = online.iterate, steps.act

    def build(self) -> None:
        self.rngs = spawn_rngs(self.seed, "actions", "environment")
        self.policy, visits = steps.table_of(self.space, self.config)
        self.visits, self.planned = Arrays(count=visits), Planned(self.space.actions)

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "visits": self.visits, "planned": self.planned}

    def explore(self, states, rng) -> np.ndarray:
        """The actions (N,) that were drawn for these states already; new ones where episodes begin."""
        planned = self.planned.actions
        missing = planned < 0
        if missing.any():
            planned = np.where(missing, steps.explore(self, states, rng), planned)
        return planned

    def update(self, t: Transitions) -> float:
        """Learn from one step of all environments; returns the mean of |TD error|."""
        c, q = self.now, self.policy.values.data
        following = steps.explore(self, t.next_states, self.rngs["actions"])
        error = steps.run(_learn, q, self.visits["count"], t, following, c.gamma, c.lr, c.decay)
        check_finite("TD error", error)
        self.planned.actions = np.where(t.terminated | t.truncated | ~t.valid, -1, following)
        return error


@exact_kernel
def _learn(q, visits, t, following, gamma, lr, decay) -> float:
    total = 0.0
    for n in range(len(t.states)):
        if t.valid[n]:
            to_come = 0.0 if t.terminated[n] else gamma * q[t.next_states[n], following[n]]
            total += abs(steps.step_towards(q, visits, t.states[n], t.actions[n], t.rewards[n] + to_come, lr, decay))
    return total / len(t.states)
