"""Policy improvement held near the data by the reverse KL (Wu, Tucker & Nachum 2019: BRAC with the KL, as a penalty of values).

    repeat, with a batch of the data set
        η ← Adam descent on −ln b̂(a|s)                                    b̂: the data's policy, cloned
        D(s) = KL(π(·|s)‖b̂(·|s)) = E_π[ln π(ã|s) − ln b̂(ã|s)]             a difference: the lecture prints a quotient
        y ← r + γ(1 − terminated)(min_i Q̄_i(s′, ã′) − βD(s′))             ã′ ~ π(·|s′)
        φ_i ← Adam descent on (Q_i(s, a) − y)²                             i = 1, 2
        θ ← Adam descent on  −min_i Q_i(s, ã) + βD(s)                      ã ~ π(·|s)
        Q̄_i ← (1 − τ)Q̄_i + τQ_i

For the right Q the best policy is π ∝ b̂ e^{Q/β}: that of AWR and AWAC, which are fitted to it by the
likelihood of the data's actions; here π draws actions of its own, and climbs. KL(π‖b̂) punishes what b̂
does not do, so π may leave out most of what the data did; see forward_kl.py, whose policy, critics and
steps these are. With a uniform b̂ it is SAC.

Deviations: π and b̂ are Gaussians, so that D is exact and needs no draws; the paper draws, and squashes.
b̂ learns at the same time; the paper fits it first. β is a constant.

Shapes: B rows.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.optim import Adam
from rl.algorithms.black_box.likelihood import likelihood_step
from rl.algorithms.offline.forward_kl import ForwardKL, ForwardKLConfig
from rl.config import rate
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.networks.distributions import DiagonalGaussian
from rl.schedules import Rate
from rl.state import Part
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class ReverseKLConfig(ForwardKLConfig):
    """Settings of policy improvement under the reverse KL."""

    algorithm: ClassVar[str] = "ReverseKL"

    beta: Rate = rate(0.1, "weight of the divergence from the data's policy, β, in units of return; 0: none", 0)


class ReverseKL(ForwardKL):
    """An agent for continuous, bounded actions: `ReverseKL.of_data(data, config, seed)`, see `FromData`.

    Attributes
    ----------
    behavior : GaussianPolicy
        b̂.

    Examples
    --------
    >>> agent = ReverseKL.of_data(rl.load_data("pendulum-medium.safetensors"), seed=0)
    >>> agent.learn(20_000)
    """

    Config = ReverseKLConfig
    takes = Takes(bounded=True, on_policy=False, dataset=True)

    def build(self) -> None:
        super().build()
        self.behavior = self.gaussian()
        self.behavior_optimizer = Adam(self.behavior.flat, self.now.lr)

    def parts(self) -> dict[str, Part]:
        return {**super().parts(), "behavior": self.behavior, "behavior_optimizer": self.behavior_optimizer}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of everything, after which the targets move; returns metrics, and |Q − y| of each row (B,)."""
        c = self.now
        self.behavior_optimizer.lr = c.lr
        rows = self.observe(batch.observations), batch.actions, batch.weights
        loss = likelihood_step(self.behavior, self.behavior_optimizer, *rows, c.max_grad_norm)
        metrics, errors = super().update(batch)
        return {**metrics, "behavior_loss": loss}, errors

    def next_value(self, s_next) -> np.ndarray:
        """min_i Q̄_i(s′, ã′) − βD(s′): (B,)."""
        kl = self.policy.predict(s_next).kl(self.behavior.predict(s_next))
        return super().next_value(s_next) - self.now.beta * kl

    def divergence(self, pi: DiagonalGaussian, s, data_actions) -> tuple[float, tuple]:
        """(1/B) Σ KL(π(·|s)‖b̂(·|s)), and its gradient by μ and σ of π."""
        b = self.behavior.predict(s)
        share = np.full(len(pi.mean), 1 / len(pi.mean), pi.mean.dtype)
        return float(pi.kl(b).mean()), pi.kl_backward(b, share)[:2]
