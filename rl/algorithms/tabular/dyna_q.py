"""Dyna-Q (Sutton 1990; Algorithm 9 of the notes).

    repeat
        a ← ε-greedy in s; step to r, s′                              in N environments
        Q(s, a) ← Q(s, a) + α (r + γ max_a′ Q(s′, a′) − Q(s, a))
        model(s, a) ← r, s′, terminated
        M times
            s, a ← any pair that was tried before;  r, s′ ← model(s, a)
            Q(s, a) ← Q(s, a) + α (r + γ max_a′ Q(s′, a′) − Q(s, a))

What one step taught travels back along the whole path before the next step is taken. M = 0 is Q-learning.

Deviations: none with N = 1, ω = 0. The model remembers the last outcome of a pair, as Sutton's does: it is right in
worlds without chance, and in others a sample.

Shapes: N environments, S states, A actions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.backend import exact_kernel
from rl.agent import Agent
from rl.algorithms.tabular import steps
from rl.algorithms.tabular.config import TableConfig
from rl.config import setting
from rl.experience.visits import Arrays, Transitions
from rl.loops import online
from rl.losses.checks import check_finite
from rl.names import explained_class
from rl.state import Part, spawn_rngs
from rl.takes import TABLE

ENDED = -1  # in the place of a state that follows


@explained_class
@dataclass(frozen=True)
class DynaQConfig(TableConfig):
    """Settings of Dyna-Q."""

    algorithm: ClassVar[str] = "DynaQ"

    planning: int = setting(5, "imagined steps after each real one, M", 0, 1_000_000)


class DynaQ(Agent):
    """A Dyna-Q agent: `DynaQ(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> DynaQ("deepnp/DynaMaze-v0", DynaQConfig(planning=50, gamma=0.95), seed=0).learn(2_000)
    """

    Config = DynaQConfig
    takes = TABLE
    iterate, act, explore = online.iterate, steps.act, steps.explore

    def build(self) -> None:
        self.rngs = spawn_rngs(self.seed, "actions", "planning", "environment")
        self.policy, visits = steps.table_of(self.space, self.config)
        pairs = {"tried": np.zeros(visits.size, np.int64), "number": np.zeros(1, np.int64)}
        outcomes = {"rewards": np.zeros(visits.shape), "next_states": np.full(visits.shape, ENDED)}
        bounds = {"tried": (0, visits.size - 1), "number": (0, visits.size), "next_states": (ENDED, len(visits) - 1)}
        self.model = Arrays(bounds, **pairs, **outcomes, count=visits)

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "model": self.model}

    def update(self, t: Transitions) -> float:
        """Learn from one step of all environments, and from M·N imagined ones; returns the mean of |TD error| of the real ones."""
        c, m, q = self.now, self.model, self.policy.values.data
        pairs, outcomes = (m["tried"], m["number"]), (m["rewards"], m["next_states"])
        error = steps.run(_learn, q, m["count"], *pairs, *outcomes, t, c.gamma, c.lr, c.decay)
        check_finite("TD error", error)
        numbers = self.rngs["planning"].random(c.planning * int(np.count_nonzero(t.valid)))
        steps.run(_plan, q, m["count"], *pairs, *outcomes, numbers, c.gamma, c.lr, c.decay)
        return error


@exact_kernel
def _learn(q, visits, tried, number, rewards, next_states, t, gamma, lr, decay) -> float:
    total = 0.0
    for n in range(len(t.states)):
        if t.valid[n]:
            s, a = t.states[n], t.actions[n]
            if visits[s, a] == 0 and number[0] < len(tried):
                tried[number[0]] = s * q.shape[1] + a
                number[0] += 1
            rewards[s, a], next_states[s, a] = t.rewards[n], ENDED if t.terminated[n] else t.next_states[n]
            total += abs(_update(q, visits, rewards, next_states, s, a, gamma, lr, decay))
    return total / len(t.states)


@exact_kernel
def _plan(q, visits, tried, number, rewards, next_states, numbers, gamma, lr, decay):
    for k in range(len(numbers)):
        pair = tried[int(number[0] * numbers[k])]
        _update(q, visits, rewards, next_states, pair // q.shape[1], pair % q.shape[1], gamma, lr, decay)


@exact_kernel
def _update(q, visits, rewards, next_states, s, a, gamma, lr, decay) -> float:
    to_come = 0.0 if next_states[s, a] == ENDED else gamma * q[next_states[s, a]].max()
    return steps.step_towards(q, visits, s, a, rewards[s, a] + to_come, lr, decay)
