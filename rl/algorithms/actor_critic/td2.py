"""TD2: DDPG with twin critics and a policy of fixed noise, as the thesis on maximum entropy has it (ch. 3; §2.1.2).

    repeat
        a ~ π(·|s): clip(μ(s) + N(0, 0.2²), ±1), step, remember (s, a, r, s′)
        for each minibatch
            ã′ ~ π(·|s′)                                            the online policy: only the critics have targets
            y ← r + γ(1 − terminated) min_i Q̄_i(s′, ã′)
            φ_i ← Adam descent on (Q_i(s, a) − y)²                   i = 1, 2
            θ ← Adam descent on −Q_1(s, ã),  ã = clip(μ(s) + 0.2ξ, ±1)
            Q̄_i ← (1 − τ)Q̄_i + τQ_i

The gradient passes through ã where it is not clipped. The thesis writes a ~ π for the target and
the policy's loss in one place and μ in another: `policy_noise=0` is the latter. With
`target_actor=True` besides, what is left is DDPG with the smaller of two critics.

Shapes: B rows, A action dimensions.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.backend import array_module
from rl.algorithms.actor_critic.ddpg import DDPG, DDPGConfig
from rl.config import rate, setting
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.schedules import Rate

ONE = np.float32(1)


@explained_class
@dataclass(frozen=True)
class TD2Config(DDPGConfig):
    """Settings of TD2."""

    algorithm: ClassVar[str] = "TD2"

    exploration: Rate = rate(0.2, "σ of the noise while exploring; actions live in [−1, 1]", 0)
    policy_noise: Rate = rate(0.2, "σ of the policy in the critics' target and in its own loss", 0)
    target_actor: bool = setting(False, "a target policy that follows, for the critics' target")
    critic_gain: float = setting(math.sqrt(2), "gain of the critics' last orthogonal weights", 1e-6, 100)
    actor_gain: float = setting(1.0, "that of the policy's", 1e-6, 100)

    @property
    def policy_follows(self) -> bool:
        """Whether there is a target policy."""
        return self.targets and self.target_actor


class TD2(DDPG):
    """A TD2 agent for continuous, bounded actions: `TD2(env, config, seed)`, see `Agent`."""

    Config = TD2Config
    critic_count = 2

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of the critics and of the policy; the targets move.

        Returns metrics, and |Q − y| of each row.
        """
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        self.critics.set_lr(c.critic_rate)
        noise_next, noise = (
            np.float32(c.policy_noise) * self.rngs["noise"].standard_normal(batch.actions.shape, np.float32) for _ in range(2)
        )
        y = batch.rewards + batch.discounts * self.halves.map(self.noisy_next_value, s_next, noise_next)
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        q = self.halves.step(noisy_value_gradient, self.policy_optimizer, s, noise)
        self.critics.follow(c.tau)
        self.follow(c.tau)
        return {"critic_loss": critic_loss, "td_error": float(errors.mean()), "policy_loss": -float(q.mean())}, errors

    def noisy_next_value(self, networks, s_next, noise) -> np.ndarray:
        """min_i Q̄_i(s′, ã′): (B,)."""
        return networks.critics.target(s_next, (networks.target_policy.predict(s_next) + noise).clip(-ONE, ONE))


def noisy_value_gradient(networks, size: int, s, noise) -> np.ndarray:
    """For `Halves.step`: the gradient of −(1/size) Σ Q_1(s, ã). Returns Q_1 (B,)."""
    drawn = networks.policy.forward(s) + noise
    q, dactions = networks.critics.action_gradient(s, drawn.clip(-ONE, ONE), dvalue=-1 / size, count=1)
    through = array_module(drawn).where(abs(drawn) <= 1, dactions, dactions.dtype.type(0))
    networks.policy.backward(through, inputs=False)
    return q
