"""Monte Carlo control, first visit, with a policy that explores (Sutton & Barto 2018, §5.4).

    repeat
        play an episode with the ε-greedy policy of Q                 N of them at once
        for the first visit of each (s, a) in it, from the last one back
            G ← r + γ G
            Q(s, a) ← Q(s, a) + (1/n)(G − Q(s, a))                    α/n^ω in general: α = 1 and ω = 1 take the mean

The policy is that of the present Q, and improves with it: the loop goes on. The notes return the greedy policy of the
first Q^π, which is one improvement of many, and try nothing new.

Deviations: an episode that was truncated is not over. G begins there with what Q says of the ε-greedy policy.

Shapes: N environments, S states, A actions.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deepnp.backend import exact_kernel
from rl.agent import Agent
from rl.algorithms.tabular import steps
from rl.algorithms.tabular.config import TableConfig
from rl.config import rate, setting
from rl.experience.visits import Arrays, EpisodesUnderWay, Transitions
from rl.loops import online
from rl.losses.checks import check_finite
from rl.names import explained_class
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import TABLE


@explained_class
@dataclass(frozen=True)
class MonteCarloConfig(TableConfig):
    """Settings of Monte Carlo control."""

    algorithm: ClassVar[str] = "MonteCarlo"

    lr: Rate = rate(1.0, "step size, α", 0, 1)
    decay: float = setting(1.0, "the step at a pair's n-th visit is α/n^ω: ω; with α = 1 and ω = 1, Q is the mean", 0, 1)


class MonteCarlo(Agent):
    """A Monte Carlo agent: `MonteCarlo(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> MonteCarlo("FrozenLake-v1", seed=0).learn(200_000)
    """

    Config = MonteCarloConfig
    takes = replace(TABLE, on_policy=True, transitions=False)
    iterate, act, explore = online.iterate, steps.act, steps.explore

    def build(self) -> None:
        self.rngs = spawn_rngs(self.seed, "actions", "environment")
        self.policy, visits = steps.table_of(self.space, self.config)
        self.visits, self.episodes = Arrays(count=visits), EpisodesUnderWay(self.policy.values.shape)

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "visits": self.visits, "episodes": self.episodes}

    def update(self, t: Transitions) -> float:
        """Remember one step of all environments, and learn from the episodes that it ends; returns the mean of |G − Q|."""
        c, trace = self.now, self.episodes.add(t, np.ones(len(t.states)))
        if not (t.terminated | t.truncated).any():
            return 0.0
        error = steps.run(_learn, self.policy.values.data, self.visits["count"], trace, t, c.exploration, c.gamma, c.lr, c.decay)
        check_finite("error of the return", error)
        return error


@exact_kernel
def _learn(q, visits, trace, t, epsilon, gamma, lr, decay) -> float:
    total, first = 0.0, np.full(q.shape, -1)
    for n in range(len(t.states)):
        if not (t.terminated[n] or t.truncated[n]):
            continue
        states, actions, last = trace.states[n], trace.actions[n], trace.lengths[n] - 1
        for k in range(last, -1, -1):
            first[states[k], actions[k]] = k
        row = q[t.next_states[n]]
        g = 0.0 if t.terminated[n] else (1 - epsilon) * row.max() + epsilon * row.mean()
        for k in range(last, -1, -1):
            g = trace.rewards[n, k] + gamma * g
            if first[states[k], actions[k]] == k:
                total += abs(steps.step_towards(q, visits, states[k], actions[k], g, lr, decay)) / (last + 1)
        for k in range(last + 1):
            first[states[k], actions[k]] = -1
        trace.lengths[n] = 0
    return total / len(t.states)
