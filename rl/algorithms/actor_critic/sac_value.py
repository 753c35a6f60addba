"""The first Soft Actor-Critic, with a value network (Haarnoja et al. 2018, "Off-Policy Maximum Entropy Deep RL").

    y   ← r + γ(1 − terminated) V̄(s′)                              the target is one network of states alone
    φ_i ← Adam descent on  (Q_i(s, a) − y)²                         i = 1, 2
    ã ~ π(·|s)
    ψ   ← Adam descent on  (V(s) − (min_i Q_i(s, ã) − α ln π(ã|s)))²
    θ   ← Adam descent on  α ln π(ã|s) − min_i Q_i(s, ã)
    V̄   ← (1 − τ)V̄ + τV

α is fixed there (1/reward scale); here it may be tuned as in sac.py, which has everything else. That paper's ½ before the squares
is left out, as Adam does not feel it. One draw ã, of the policy before its step, serves V and π.

Shapes: B rows, O observation, A action dimensions.
"""

import math
from dataclasses import dataclass

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from rl.algorithms.actor_critic.sac import SAC, SACConfig, means
from rl.experience.replay import Batch
from rl.networks.critics import Critics


@dataclass(frozen=True)
class SACValueConfig(SACConfig):
    """Settings of the first SAC: those of SAC."""


class SACValue(SAC):
    """A SAC agent with a value network, for continuous, bounded actions: `SACValue(env, config, seed)`, see `Agent`."""

    Config = SACValueConfig

    def _build(self):
        super()._build()
        c, sizes = self.config, (self.space.observations, *self.config.hidden, 1)
        self.value = Critics(1, sizes, ACTIVATIONS[c.activation], c.lr, self.rngs["weights"])  # a critic of no action at all

    def update(self, batch: Batch) -> dict[str, float]:
        """One gradient step of everything."""
        s, s_next = self.observe(batch.observations), self.observe(batch.next_observations)
        alpha, no_action = math.exp(float(self.log_alpha.data[0])), np.empty((len(s), 0), np.float32)
        noise = self.rngs["noise"].standard_normal(batch.actions.shape, np.float32)
        y = batch.rewards + batch.discounts * self.value.target(s_next, no_action)
        critic_loss, batch.errors = self.critics.descend(s, batch.actions, y, batch.weights)
        q, log_prob = self.improve(s, noise, alpha)
        soft_value = q - np.float32(alpha) * log_prob
        value_loss, _ = self.value.descend(s, no_action, soft_value, batch.weights, self.config.tau)
        self.temper(log_prob)
        losses = {"critic_loss": critic_loss, "value_loss": value_loss, "td_error": float(batch.errors.mean())}
        return losses | means(q, log_prob, alpha)

    def _parts(self):
        return super()._parts() | {"value": self.value}
