"""Categorical DQN, C51 (Bellemare, Dabney & Munos 2017): how returns are distributed over a fixed support.

    p(s, a) = softmax(x(s, a)) over z_1 … z_Z,  Q(s, a) = Σ_j z_j p_j(s, a)
    repeat
        a ← random with probability ε, else argmax_a Q(s, a), step, remember (s, a, r, s′)
        for each minibatch
            a* ← argmax_a′ Q̄(s′, a′)                           double: of Q
            m ← the distribution p̄(s′, a*) of r + γ(1 − terminated)z, put back onto the support
            θ ← Adam descent on −Σ_j m_j ln p_j(s, a)
            the target moves as DQN's

51 atoms named it. The support here is wider than the paper's ±10, as rewards are not clipped.

Shapes: B rows, C choices, Z atoms.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rl.algorithms.value_based.config import ValueConfig
from rl.algorithms.value_based.dqn import DQN
from rl.config import setting
from rl.experience.replay import Batch
from rl.losses.distributional import categorical_loss, project
from rl.names import explained_class
from rl.networks.q_networks import Mean, SupportMean, probabilities
from rl.networks.q_steps import step


@explained_class
@dataclass(frozen=True)
class C51Config(ValueConfig):
    """Settings of C51."""

    algorithm: ClassVar[str] = "C51"

    atoms: int = setting(101, "values of the support, Z", 2, 10_000)
    lowest: float = setting(-100.0, "the first of them, z_1", -1e9, 1e9)
    highest: float = setting(100.0, "the last of them, z_Z", -1e9, 1e9)

    def __post_init__(self):
        super().__post_init__()
        if self.lowest >= self.highest:
            raise ValueError(f"expected lowest < highest, given {self.lowest} and {self.highest}")


class C51(DQN):
    """A C51 agent for choices: `C51(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for the logits: observations (B, …) -> (B, C·Z), choice after choice.
        See rl/networks/own.py.

    Examples
    --------
    >>> agent = C51("CartPole-v1", C51Config(lowest=0.0), seed=0)
    >>> agent.learn(50_000)
    """

    Config = C51Config

    def numbers(self, c: Any) -> int:
        return c.atoms

    def support(self, c: Any) -> np.ndarray:
        """z (Z,)."""
        return np.linspace(c.lowest, c.highest, c.atoms)

    def mean(self, c: Any) -> Mean:
        return SupportMean(self.support(c))

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step; the target moves when it is due. Returns metrics, and the loss of each row (B,)."""
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        p_next = probabilities(self.target_policy.outputs(s_next), c.atoms)
        best = (self.policy if c.double else self.target_policy).predict(s_next).argmax(axis=1)
        support = self.support(c)
        m = project(p_next[np.arange(len(best)), best], batch.rewards, batch.discounts, support)

        def loss(y):
            value, dlogits, errors = categorical_loss(y.reshape(p_next.shape), batch.actions, m, batch.weights)
            return value, dlogits.reshape(y.shape), errors

        value, errors = step(self.policy, self.policy_optimizer, s, loss)
        self.move_target(c)
        return {"critic_loss": value, "target": float((m @ support).mean())}, errors
