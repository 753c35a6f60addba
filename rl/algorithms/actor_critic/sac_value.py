"""The first Soft Actor-Critic, with a value network (Haarnoja et al. 2018, "Off-Policy Maximum Entropy Deep RL").

    y   ← r + γ(1 − terminated) V̄(s′)                              the target is one network of states alone
    φ_i ← Adam descent on  (Q_i(s, a) − y)²                         i = 1, 2
    ã ~ π(·|s)
    ψ   ← Adam descent on  (V(s) − (min_i Q_i(s, ã) − α ln π(ã|s)))²
    θ   ← Adam descent on  α ln π(ã|s) − min_i Q_i(s, ã)
    V̄   ← (1 − τ)V̄ + τV

α is fixed there (1/reward scale); here it may be tuned as in sac.py, which has everything else.
That paper's ½ before the squares is left out, as Adam does not feel it. What the settings say of
critics holds for V, but for the form of their loss. One draw ã, of the policy before its step,
serves V and π. The critics keep their targets Q̄_i, as all do, but nothing here reads or moves
them: they cost a copy of the critics' parameters, in memory and in files, and no time.

Shapes: B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.backend import to_device
from rl.algorithms.actor_critic.sac import SAC, SACConfig, means
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.networks.critics import Values
from rl.networks.recalling import critic_of
from rl.state import Part


@explained_class
@dataclass(frozen=True)
class SACValueConfig(SACConfig):
    """Settings of the first SAC: those of SAC."""

    algorithm: ClassVar[str] = "SACValue"


class SACValue(SAC):
    """A SAC agent with a value network, for continuous, bounded actions: `SACValue(env, config, seed)`, see `Agent`."""

    Config = SACValueConfig

    def build(self) -> None:
        super().build()
        c = self.now
        body = critic_of(self.space, c, 0, self.rngs["weights"], self.policy).to(c.device)
        self.value = Values([body], c.critic_rate, optimizer=c.critic_optimizer, targets=c.targets)

    def parts(self) -> dict[str, Part]:
        return super().parts() | {"value": self.value}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of everything. Returns metrics, and |Q − y| of each row (B,)."""
        c, alpha = self.set_rates(), self.temperature.alpha
        self.value.set_lr(c.critic_rate)
        s, s_next = self.observe(batch.observations), self.observe(batch.next_observations)
        noise = self.rngs["noise"].standard_normal((len(batch.actions), self.policy.noise_size), np.float32)
        y = batch.rewards + batch.discounts * to_device(self.value.target(s_next), "cpu")
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        q, log_prob = self.halves.step(self.policy_loss_gradient, self.policy_optimizer, s, noise)
        value_loss, _ = self.value.fit(s, targets=q - alpha * log_prob, weights=batch.weights)
        self.value.follow(c.tau)
        self.temperature.step(log_prob)
        losses = {"critic_loss": critic_loss, "value_loss": value_loss, "td_error": float(errors.mean())}
        return losses | means(q, log_prob, alpha), errors
