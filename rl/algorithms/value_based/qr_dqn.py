"""DQN with quantile regression, QR-DQN (Dabney, Rowland, Bellemare & Munos 2018): quantiles of the returns.

    θ_1 … θ_Z (s, a) are quantiles of the return at (i − ½)/Z,  Q(s, a) = (1/Z) Σ_i θ_i(s, a)
    repeat
        a ← random with probability ε, else argmax_a Q(s, a), step, remember (s, a, r, s′)
        for each minibatch
            a* ← argmax_a′ Q̄(s′, a′)                           double: of Q
            y_j ← r + γ(1 − terminated) θ̄_j(s′, a*)            j = 1 … Z
            θ ← Adam descent on Σ_i (1/Z) Σ_j |τ_i − 1[y_j < θ_i]| h(y_j − θ_i(s, a))/κ
            the target moves as DQN's

h is Huber's loss with the bound κ. No support has to be known.

Shapes: B rows, C choices, Z quantiles.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rl.algorithms.value_based.config import ValueConfig
from rl.algorithms.value_based.dqn import DQN
from rl.config import setting
from rl.experience.replay import Batch
from rl.losses.distributional import quantile_loss
from rl.names import explained_class
from rl.networks.q_networks import Mean, QuantileMean
from rl.networks.q_steps import step


@explained_class
@dataclass(frozen=True)
class QRDQNConfig(ValueConfig):
    """Settings of QRDQN."""

    algorithm: ClassVar[str] = "QRDQN"

    quantiles: int = setting(50, "quantiles of each choice's return, Z", 1, 10_000)
    quantile_limit: float = setting(1.0, "difference beyond which the loss is linear (Huber), κ", 1e-9)


class QRDQN(DQN):
    """A QR-DQN agent for choices: `QRDQN(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for the quantiles: observations (B, …) -> (B, C·Z), choice after
        choice. See rl/networks/own.py.

    Examples
    --------
    >>> agent = QRDQN("CartPole-v1", QRDQNConfig(quantiles=25), seed=0)
    >>> agent.learn(50_000)
    """

    Config = QRDQNConfig

    def numbers(self, c: Any) -> int:
        return c.quantiles

    def mean(self, c: Any) -> Mean:
        return QuantileMean(c.quantiles)

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step; the target moves when it is due. Returns metrics, and |mean θ − mean y| of each row (B,)."""
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        y_next = self.target_policy.outputs(s_next)
        theta_next = y_next.reshape(len(y_next), -1, c.quantiles)  # (B, C, Z)
        best = (self.policy if c.double else self.target_policy).predict(s_next).argmax(axis=1)
        y = batch.rewards[:, None] + batch.discounts[:, None] * theta_next[np.arange(len(best)), best]

        def loss(outputs):
            theta = outputs.reshape(theta_next.shape)
            value, dtheta, errors = quantile_loss(theta, batch.actions, y, batch.weights, c.quantile_limit)
            return value, dtheta.reshape(outputs.shape), errors

        value, errors = step(self.policy, self.policy_optimizer, s, loss)
        self.move_target(c)
        errors = np.abs(errors)
        return {"critic_loss": value, "td_error": float(errors.mean()), "target": float(y.mean())}, errors
