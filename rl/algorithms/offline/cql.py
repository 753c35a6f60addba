"""Conservative Q-learning (Kumar et al. 2020): SAC whose critics think little of actions that are not in the data.

    repeat, with a batch of the data set
        ã′ = tanh(μ(s′) + σ(s′)ξ′)
        y ← r + γ(1 − terminated) min_i Q̄_i(s′, ã′)
        a_1 … a_3n ← n uniform actions, n of π(·|s), n of π(·|s′)
        φ_i ← Adam descent on  (Q_i(s, a) − y)² + α_c [ ln (1/3n) Σ_k e^{Q_i(s, a_k)}/p(a_k) − Q_i(s, a) ]         i = 1, 2
        θ, α as SAC's:  α ln π(ã|s) − min_i Q_i(s, ã),   −ln α·(ln π(ã|s) + H̄)
        Q̄_i ← (1 − τ)Q̄_i + τQ_i

    dQ_i(s, a_k) = (α_c/B) softmax_k(Q_i − ln p)          what seems best is pushed down most
    dQ_i(s, a)   = (2/B)(Q_i − y) − α_c/B                 and the data's actions up

`penalty` chooses the actions: "logsumexp" those above; "policy" the mean over π(·|s), which bounds the
value of π from below; "uniform" the mean over uniform actions. α_c = 0 is SAC without entropy in its
targets: on a data set its values run away.

Deviations: α_c is a constant: the paper's Lagrangian form is not offered. The paper's formula has ½
before the squared error; the authors' code, for which α_c = 5 was found, has not, and neither has ours.

Shapes: B rows, A action dimensions, K = 3n drawn actions.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rl.algorithms.actor_critic.sac import SAC, means
from rl.algorithms.actor_critic.sac_lite import SACLite
from rl.algorithms.offline.config import OfflineConfig
from rl.algorithms.offline.soft import SoftFromData
from rl.config import rate, setting
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.networks.conservative import PENALTIES, drawn_actions, fit_conservative
from rl.schedules import Rate


@explained_class
@dataclass(frozen=True)
class CQLConfig(OfflineConfig):
    """Settings of conservative Q-learning."""

    algorithm: ClassVar[str] = "CQL"

    conservatism: Rate = rate(5.0, "weight of the penalty on values of other actions, α_c", 0)
    penalty: str = setting("logsumexp", "which other actions", choices=PENALTIES)
    draws: int = setting(10, "actions of each kind, n", 1, 1000)
    temperature: Rate | None = rate(None, "fixed weight of the entropy in the policy's loss, α; None: tuned", 0)
    target_entropy: Rate | None = rate(None, "H̄ that a tuned α aims at; None: −A", -1e6, 1e6)


class CQL(SoftFromData):
    """A CQL agent for continuous, bounded actions: `CQL.of_data(data, config, seed)`, see `FromData`.

    Examples
    --------
    >>> agent = CQL.of_data(rl.load_data("pendulum-medium.safetensors"), seed=0)
    >>> agent.learn(20_000)
    """

    Config = CQLConfig
    next_value: Any = SACLite.next_value  # Any: mypy wants to see a SAC in `self`
    policy_loss_gradient: Any = SAC.policy_loss_gradient

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of everything, after which the targets move.

        Returns metrics, and |Q − y| of each row (B,).
        """
        c, s, s_next = self.set_rates(), self.observe(batch.observations), self.observe(batch.next_observations)
        rng, shape, alpha = self.rngs["noise"], batch.actions.shape, self.temperature.alpha
        noise_next, noise = (rng.standard_normal(shape, np.float32) for _ in range(2))
        y = batch.rewards + batch.discounts * self.halves.map(self.next_value, s_next, noise_next)
        drawn = drawn_actions(self.policy, s, s_next, c.draws, c.penalty, rng)
        critic_loss, gap, errors = fit_conservative(self.critics, s, batch.actions, y, drawn, c.conservatism, c.penalty)
        self.critics.follow(c.tau)
        q, log_prob = self.halves.step(self.policy_loss_gradient, self.policy_optimizer, s, noise)
        self.temperature.step(log_prob)
        metrics = {"critic_loss": critic_loss, "td_error": float(errors.mean()), "penalty_loss": gap}
        return {**metrics, **means(q, log_prob, alpha)}, errors
