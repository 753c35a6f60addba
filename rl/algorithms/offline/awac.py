"""Advantage-weighted actor-critic (Nair et al. 2020): AWR with a critic that learns from single steps.

    repeat, with a batch of the data set
        y ← r + γ(1 − terminated) min_i Q̄_i(s′, ã′)                ã′ ~ π(·|s′)
        φ_i ← Adam descent on (Q_i(s, a) − y)²                      i = 1, 2
        A ← min_i Q_i(s, a) − (1/K) Σ_k min_i Q_i(s, ã_k)           ã_k ~ π(·|s)
        θ ← Adam descent on  −min(e^{A/β}, w_max) ln π(a|s)
        Q̄_i ← (1 − τ)Q̄_i + τQ_i

The critic is π's, and not that of the data's policy: improvement goes on beyond one step. The policy
is fitted to the data's actions alone, so it stays near them, and with steps of its own in the data set
it goes on from there. The lecture prints A = r + γ E Q(s′, ã′) − Q(s, a), which is the TD error.

Deviation: the authors' code divides the weights of a batch by their sum; here they are bounded.

Shapes: B rows, A action dimensions, K draws.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rl.algorithms.offline.config import OfflineConfig, twin_critics
from rl.algorithms.offline.from_data import FromData
from rl.algorithms.offline.regression import RegressionConfig, act, regress, regressed_policy
from rl.config import rate, setting
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.networks.chains import smallest
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class AWACConfig(RegressionConfig, OfflineConfig):
    """Settings of the advantage-weighted actor-critic."""

    algorithm: ClassVar[str] = "AWAC"

    beta: Rate = rate(1.0, "how near to the data's policy to stay, β, in units of return", 1e-6)
    largest_weight: Rate = rate(100.0, "bound of the weights, w_max", 1e-6)
    draws: int = setting(1, "actions that the value of a state is estimated with, K", 1, 1000)


class AWAC(FromData):
    """An AWAC agent for continuous, bounded actions: `AWAC.of_data(data, config, seed)`, see `FromData`.

    Examples
    --------
    >>> agent = AWAC.of_data(rl.load_data("pendulum-medium.safetensors"), AWACConfig(offline_steps=20_000), seed=0)
    >>> agent.learn(20_000).set_env("Pendulum-v1")
    >>> agent.learn(30_000)  # 10,000 steps in the environment
    """

    Config = AWACConfig
    takes = Takes(bounded=True, on_policy=False, dataset=True)
    act = explore = act

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "noise", "environment")
        self.policy, self.policy_optimizer = regressed_policy(space, c, self.rngs["weights"])
        self.critics = twin_critics(space, c, self.rngs["weights"])
        self.make_memory()

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "policy_optimizer": self.policy_optimizer, "critics": self.critics, **self.data_parts()}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of the critics and of the policy, after which the targets move.

        Returns metrics, and |Q − y| of each row (B,).
        """
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        y = batch.rewards + batch.discounts * self.critics.target(s_next, act(self, s_next, self.rngs["noise"]))
        self.critics.set_lr(c.lr)
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        advantages = self.values(s, batch.actions) - self.expected_value(s)
        metrics = regress(self, s, batch.actions, advantages)
        self.critics.follow(c.tau)
        return {"critic_loss": critic_loss, "td_error": float(errors.mean()), **metrics}, errors

    def values(self, s, actions) -> np.ndarray:
        """min_i Q_i(s, a): (B,)."""
        return smallest(self.critics.networks, (s, actions))

    def expected_value(self, s) -> np.ndarray:
        """The mean of min_i Q_i(s, ã) over K draws of the policy: (B,)."""
        draws = [self.values(s, act(self, s, self.rngs["noise"])) for _ in range(self.now.draws)]
        return sum(draws) / draws[0].dtype.type(len(draws))
