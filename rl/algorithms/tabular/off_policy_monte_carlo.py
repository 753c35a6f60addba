"""Off-policy Monte Carlo control, by weighted importance sampling (Sutton & Barto 2018, §5.7).

    repeat
        play an episode with b, the ε-greedy policy of Q              N of them at once
        G ← 0;  W ← 1
        for each step, from the last one back
            G ← r + γ G
            C(s, a) ← C(s, a) + W
            Q(s, a) ← Q(s, a) + (W/C(s, a)) (G − Q(s, a))
            leave this episode if Q(s, a) < max Q(s, ·)                the greedy policy π would not have come from there
            W ← min(W̄, W π(a|s)/b(a|s))                                π(a|s) = 1 over how many actions are as good

It learns the greedy policy's values from episodes of one that explores. What it learns from is an episode's end, after
its last action that was not greedy: long episodes teach little. Weights grow as (1/b)^k with the steps k to the end, so
few episodes count for pairs that are far from it.

Deviations: an episode that was truncated is not over. G begins there with max_a Q. C is multiplied by 1 − α at each
visit, so that returns of policies long ago fade; α = 0 is the book's. Of equal values the book takes one; here all are π's.
W can be held below a bound W̄ (`weight_limit`; without it W̄ = ∞), which is truncated importance sampling: then few
episodes no longer decide a mean. Ionides 2008 lets the bound grow with the number of samples, so that the bias vanishes;
ours stays. With W̄ = 1 an end of k greedy steps counts as often as b plays it, so the bias is towards what follows in
episodes that end soon.

Shapes: N environments, S states, A actions.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deepnp.backend import exact_kernel
from rl.agent import Agent
from rl.algorithms.tabular import steps
from rl.config import check_config, rate, setting
from rl.experience.visits import Arrays, EpisodesUnderWay, Transitions
from rl.loops import online
from rl.losses.checks import check_finite
from rl.names import explained_class
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import TABLE


@explained_class
@dataclass(frozen=True)
class OffPolicyMonteCarloConfig:
    """Settings of off-policy Monte Carlo control: each field's default, its meaning with its symbol, its range."""

    algorithm: ClassVar[str] = "OffPolicyMonteCarlo"

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    lr: Rate = rate(0.0, "share of the weights C that fades at a visit, α", 0, 1)
    exploration: Rate = rate(0.2, "share of actions that are random, ε", 1e-6, 1)
    weight_limit: float | None = setting(None, "bound of the weight W; None: none", 1)
    initial_value: float = setting(0.0, "every Q at the start; a large one makes it try everything", -1e9, 1e9)

    def __post_init__(self):
        check_config(self)


class OffPolicyMonteCarlo(Agent):
    """An off-policy Monte Carlo agent: `OffPolicyMonteCarlo(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> OffPolicyMonteCarlo("FrozenLake-v1", seed=0).learn(200_000)
    """

    Config = OffPolicyMonteCarloConfig
    takes = replace(TABLE, transitions=False)
    iterate, act = online.iterate, steps.act

    def build(self) -> None:
        self.rngs = spawn_rngs(self.seed, "actions", "environment")
        self.policy, _ = steps.table_of(self.space, self.config)
        self.weights, self.episodes = Arrays(sum=np.zeros(self.policy.values.shape)), EpisodesUnderWay(self.policy.values.shape)
        self.chances = np.zeros(0)  # of the actions that are being taken

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "weights": self.weights, "episodes": self.episodes}

    def explore(self, states, rng) -> np.ndarray:
        """The actions (N,) of b in states (N,); their probabilities are kept for `update`."""
        actions, self.chances = steps.drawn(self.policy.values.data, states, self.now.exploration, rng)
        return actions

    def update(self, t: Transitions) -> float:
        """Remember one step of all environments, and learn from the episodes that it ends; returns the mean of |G − Q|."""
        c, trace = self.now, self.episodes.add(t, self.chances)
        if not (t.terminated | t.truncated).any():
            return 0.0
        limit = np.inf if c.weight_limit is None else c.weight_limit
        error = steps.run(_learn, self.policy.values.data, self.weights["sum"], trace, t, c.gamma, c.lr, limit)
        check_finite("error of the return", error)
        return error


@exact_kernel
def _learn(q, weights, trace, t, gamma, lr, limit) -> float:
    total = 0.0
    for n in range(len(t.states)):
        if not (t.terminated[n] or t.truncated[n]):
            continue
        g, w = 0.0 if t.terminated[n] else q[t.next_states[n]].max(), 1.0
        for k in range(trace.lengths[n] - 1, -1, -1):
            s, a = trace.states[n, k], trace.actions[n, k]
            g = trace.rewards[n, k] + gamma * g
            weights[s, a] = (1 - lr) * weights[s, a] + w
            error = g - q[s, a]
            q[s, a] += w / weights[s, a] * error
            total += abs(error) / trace.lengths[n]
            best, equals = q[s].max(), 0
            for value in q[s]:
                equals += value == best
            if q[s, a] < best:
                break
            w = min(limit, w / (equals * trace.chances[n, k]))
        trace.lengths[n] = 0
    return total / len(t.states)
