"""Policy improvement held near the data by the forward KL: values, and the likelihood of what the data did.

    repeat, with a batch of the data set
        y ← r + γ(1 − terminated) min_i Q̄_i(s′, ã′)                       ã′ ~ π(·|s′)
        φ_i ← Adam descent on (Q_i(s, a) − y)²                             i = 1, 2
        θ ← Adam descent on  −min_i Q_i(s, ã) − β ln π(a|s)                ã ~ π(·|s)
        Q̄_i ← (1 − τ)Q̄_i + τQ_i

    KL(b‖π) = E_b[ln b − ln π]         b, the data's policy, is not known: its part does not depend on θ
    ã = clip(μ + σξ, ±1):   dμ = −(1/B)∇_a min_i Q_i,  dσ = dμ·ξ       0 where the bound holds
    dlnπ(a|s) = −β/B

The first term alone is an actor-critic that finds actions which nobody took; the second is cloning. KL(b‖π)
asks π to give some probability to all that the data did; see reverse_kl.py for the other one. The lecture
prints this divergence with a quotient of logarithms in the place of their difference.

The form is ours: the lecture has the objective alone. Critics and targets are those of AWAC, the policy is
its Gaussian, with actions held in the box.

Shapes: B rows, A action dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.algorithms.offline.config import OfflineConfig, twin_critics
from rl.algorithms.offline.from_data import FromData
from rl.algorithms.offline.regression import RegressionConfig, act
from rl.algorithms.policy_gradient.steps import gradient_step
from rl.config import rate
from rl.experience.replay import Batch
from rl.losses.checks import check_finite
from rl.names import explained_class
from rl.networks.distributions import DiagonalGaussian
from rl.networks.policies import GaussianPolicy
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class ForwardKLConfig(RegressionConfig, OfflineConfig):
    """Settings of policy improvement under the forward KL."""

    algorithm: ClassVar[str] = "ForwardKL"

    beta: Rate = rate(1.0, "weight of the divergence from the data's policy, β, in units of return; 0: none", 0)


class ForwardKL(FromData):
    """An agent for continuous, bounded actions: `ForwardKL.of_data(data, config, seed)`, see `FromData`.

    Examples
    --------
    >>> agent = ForwardKL.of_data(rl.load_data("pendulum-medium.safetensors"), seed=0)
    >>> agent.learn(20_000)
    """

    Config: ClassVar[type] = ForwardKLConfig
    takes = Takes(bounded=True, on_policy=False, dataset=True)
    act = explore = act

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "noise", "environment")
        self.policy = self.gaussian()
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.critics = twin_critics(space, c, self.rngs["weights"])
        self.make_memory()

    def gaussian(self) -> GaussianPolicy:
        """A policy as the settings ask for it."""
        c = self.now
        return GaussianPolicy(self.space, c.hidden, ACTIVATIONS[c.activation], c.sigma, c.initial_sigma, self.rngs["weights"])

    def parts(self) -> dict[str, Part]:
        policy: dict[str, Part] = {"policy": self.policy, "policy_optimizer": self.policy_optimizer}
        return {**policy, "critics": self.critics, **self.data_parts()}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of the critics and of the policy, after which the targets move.

        Returns metrics, and |Q − y| of each row (B,).
        """
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        self.critics.set_lr(c.lr)
        y = batch.rewards + batch.discounts * self.next_value(s_next)
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        metrics = self.policy_step(s, batch.actions)
        self.critics.follow(c.tau)
        return {"critic_loss": critic_loss, "td_error": float(errors.mean()), **metrics}, errors

    def next_value(self, s_next) -> np.ndarray:
        """min_i Q̄_i(s′, ã′) of drawn actions: (B,)."""
        return self.critics.target(s_next, self.policy.predict(s_next).sample(self.rngs["noise"]).clip(-1, 1))

    def policy_step(self, s, data_actions) -> dict[str, float]:
        """One step on −min_i Q_i(s, ã) + β times the divergence; returns metrics."""
        c, pi = self.now, self.policy.forward(s)
        noise = self.rngs["noise"].standard_normal(pi.mean.shape, pi.mean.dtype)
        drawn = pi.mean + pi.sigma * noise
        q, dactions = self.critics.action_gradient(s, drawn.clip(-1, 1), dvalue=-1 / len(drawn))
        dmean, dsigma = pi.sample_backward(noise, np.where(np.abs(drawn) < 1, dactions, 0))
        divergence, (dmean_of_it, dsigma_of_it) = self.divergence(pi, s, data_actions)
        loss = c.beta * divergence - float(q.mean())
        check_finite("policy loss", loss)
        gradient = dmean + c.beta * dmean_of_it, dsigma + c.beta * dsigma_of_it
        gradient_step("policy", self.policy, self.policy_optimizer, gradient, c.max_grad_norm)
        return {"policy_loss": loss, "q": float(q.mean()), "divergence": divergence}

    def divergence(self, pi: DiagonalGaussian, s, data_actions) -> tuple[float, tuple]:
        """KL(b‖π) but for what does not depend on π, −(1/B) Σ ln π(a|s), and its gradient by μ and σ."""
        dlog_prob = np.full(len(pi.mean), -1 / len(pi.mean), pi.mean.dtype)
        return -float(pi.log_prob(data_actions).mean()), pi.log_prob_backward(data_actions, dlog_prob)
