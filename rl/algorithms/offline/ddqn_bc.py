"""Double DQN with behavioural cloning: the term of TD3+BC (Fujimoto & Gu 2021) for choices.

    repeat, with a batch of the data set
        y ← r + γ(1 − terminated) Q̄(s′, argmax_a′ Q(s′, a′))
        θ ← Adam descent on  (Q(s, a) − y)² + w[ ln Σ_c e^{Q(s, c)/κ} − Q(s, a)/κ ]
        Q̄ ← (1 − τ)Q̄ + τQ

    dQ(s, c) = (2/B)(Q(s, a) − y) 1(c = a) + (w/κB)[ softmax_c(Q(s, ·)/κ) − 1(c = a) ]

The second term is the cross-entropy of softmax(Q/κ), as if that were the policy: it raises what the data
chose and lowers the rest, so that no choice is the best one because nobody tried it. With κ = 1 it is the
penalty of CQL over all choices. In the environment actions are drawn from softmax(Q/κ).

The form is ours: Fujimoto & Gu have TD3 alone, and DQN has no policy that a squared distance could hold.

Shapes: B rows, C choices.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.losses import cross_entropy
from rl.algorithms.offline.choices import ChoicesFromData
from rl.algorithms.offline.config import OfflineConfig
from rl.config import rate
from rl.experience.replay import Batch
from rl.losses.choices import choice_loss
from rl.names import explained_class
from rl.networks.q_networks import double_value, drawn
from rl.networks.q_steps import step
from rl.schedules import Rate


@explained_class
@dataclass(frozen=True)
class DDQNBCConfig(OfflineConfig):
    """Settings of double DQN with behavioural cloning."""

    algorithm: ClassVar[str] = "DDQNBC"

    imitation: Rate = rate(1.0, "weight of the data's choices beside the TD error, w; 0: double DQN", 0)
    choice_temperature: Rate = rate(1.0, "difference of values that makes a choice e times as probable, κ", 1e-6)


class DDQNBC(ChoicesFromData):
    """A DDQN+BC agent for choices: `DDQNBC.of_data(data, config, seed)`, see `FromData`.

    Examples
    --------
    >>> agent = DDQNBC.of_data(rl.load_data("cartpole-medium.safetensors"), seed=0)
    >>> agent.learn(20_000)
    """

    Config = DDQNBCConfig

    def act(self, observations, rng) -> np.ndarray:
        q = self.policy.predict(observations)
        return q.argmax(axis=1) if rng is None else drawn(q, 1 / self.now.choice_temperature, rng)

    explore = act

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step, after which the target moves; returns metrics, and |Q − y| of each row (B,)."""
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        y = batch.rewards + batch.discounts * double_value(self.policy, self.target_policy, s_next)

        def loss(q):
            td, dq, errors = choice_loss(q, batch.actions, y, batch.weights)
            kappa, share = q.dtype.type(c.choice_temperature), q.dtype.type(c.imitation / c.choice_temperature)
            imitation, dlogits = cross_entropy(self.policy.allowed(q, s) / kappa, batch.actions)
            return td + c.imitation * imitation, dq + share * dlogits, errors

        value, errors = step(self.policy, self.policy_optimizer, s, loss)
        self.follow(c.tau)
        errors = np.abs(errors)
        return {"critic_loss": value, "td_error": float(errors.mean()), "target": float(y.mean())}, errors
