"""Implicit Q-learning (Kostrikov, Nair & Levine 2021): the best of the data's actions, without asking for others.

    repeat, with a batch of the data set
        u = min_i Q̄_i(s, a) − V(s)
        ω ← Adam descent on  |τ_V − 1(u < 0)| u²              an expectile: τ_V = ½ the mean, τ_V → 1 the largest
        θ ← Adam descent on  −min(e^{u/β}, w_max) ln π(a|s)
        y ← r + γ(1 − terminated) V(s′)
        φ_i ← Adam descent on (Q_i(s, a) − y)²                i = 1, 2
        Q̄_i ← (1 − τ)Q̄_i + τQ_i

    dV = −2|τ_V − 1(u < 0)| u/B        the asymmetric square of rl/losses/td.py with α = 1 − τ_V, which is twice that:
                                       Adam's steps are the same

V(s) is an expectile of Q over the data's actions in s: near the largest of them, and no value of an
action that nobody took is ever read. The policy is fitted last: it changes nothing in the values.

Deviation: the paper's policy has a learning rate that falls as a cosine, here `lr` takes a schedule.

Shapes: B rows, A action dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from rl.algorithms.offline.config import OfflineConfig, twin_critics
from rl.algorithms.offline.from_data import FromData
from rl.algorithms.offline.regression import RegressionConfig, act, regress, regressed_policy
from rl.config import rate, setting
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.networks.critics import Values
from rl.networks.encoders import network
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class IQLConfig(RegressionConfig, OfflineConfig):
    """Settings of implicit Q-learning."""

    algorithm: ClassVar[str] = "IQL"

    expectile: float = setting(0.7, "which expectile of the data's values a state is worth, τ_V", 1e-3, 0.999)
    beta: Rate = rate(1 / 3, "how near to the data's policy to stay, β, in units of return", 1e-6)
    largest_weight: Rate = rate(100.0, "bound of the weights, w_max", 1e-6)


class IQL(FromData):
    """An IQL agent for continuous, bounded actions: `IQL.of_data(data, config, seed)`, see `FromData`.

    Examples
    --------
    >>> agent = IQL.of_data(rl.load_data("pendulum-medium.safetensors"), seed=0)
    >>> agent.learn(20_000)
    """

    Config = IQLConfig
    takes = Takes(bounded=True, on_policy=False, dataset=True)
    act = explore = act

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "environment")
        rng, activation = self.rngs["weights"], ACTIVATIONS[c.activation]
        self.policy, self.policy_optimizer = regressed_policy(space, c, rng)
        self.critics = twin_critics(space, c, rng)
        value = network(space.observation, c.hidden, 1, activation, rng)
        self.value = Values([value], c.lr, targets=False, asymmetry=1 - c.expectile)
        self.make_memory()

    def parts(self) -> dict[str, Part]:
        values: dict[str, Part] = {"critics": self.critics, "value": self.value}
        return {"policy": self.policy, "policy_optimizer": self.policy_optimizer, **values, **self.data_parts()}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of V, of the policy and of the critics, after which the targets move.

        Returns metrics, and |Q − y| of each row (B,).
        """
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.value.set_lr(c.lr)
        self.critics.set_lr(c.lr)
        q = self.critics.target(s, batch.actions)
        value_loss, _ = self.value.fit(s, targets=q, weights=batch.weights)
        metrics = regress(self, s, batch.actions, q - self.value.target(s))
        y = batch.rewards + batch.discounts * self.value.target(s_next)
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        self.critics.follow(c.tau)
        return {"critic_loss": critic_loss, "td_error": float(errors.mean()), "value_loss": value_loss, **metrics}, errors
