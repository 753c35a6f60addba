"""SAC with behavioural cloning: the term of TD3+BC (Fujimoto & Gu 2021) for a stochastic policy.

    repeat, with a batch of the data set
        y ← r + γ(1 − terminated)(min_i Q̄_i(s′, ã′) − α ln π(ã′|s′))           ã′ = tanh(μ(s′) + σ(s′)ξ′)
        φ_i ← Adam descent on (Q_i(s, a) − y)²                                  i = 1, 2
        λ ← w / mean |min_i Q_i(s, ã)|                                          a plain number
        θ ← Adam descent on  λ[α ln π(ã|s) − min_i Q_i(s, ã)] + mean_j (tanh μ_j(s) − a_j)²
        α ← Adam descent on  −ln α·(ln π(ã|s) + H̄)                             H̄ = −A
        Q̄_i ← (1 − τ)Q̄_i + τQ_i

The form is ours. λ stands before the entropy, too, so that α weighs it against values as it does in y.
What is held near the data is the most probable action; how far draws go around it, the entropy decides.

Shapes: B rows, A action dimensions.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rl.algorithms.actor_critic.sac import SAC, means
from rl.algorithms.offline.config import OfflineConfig
from rl.algorithms.offline.soft import SoftFromData
from rl.config import rate
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.networks.undivided import Undivided
from rl.schedules import Rate


@explained_class
@dataclass(frozen=True)
class SACBCConfig(OfflineConfig):
    """Settings of SAC with behavioural cloning."""

    algorithm: ClassVar[str] = "SACBC"

    value_weight: Rate = rate(2.5, "how much values count beside the data's actions, w; 0: not at all", 0)
    temperature: Rate | None = rate(None, "fixed weight of the entropy, α; None: tuned", 0)
    target_entropy: Rate | None = rate(None, "H̄; None: −A", -1e6, 1e6)


class SACBC(SoftFromData):
    """A SAC+BC agent for continuous, bounded actions: `SACBC.of_data(data, config, seed)`, see `FromData`.

    Examples
    --------
    >>> agent = SACBC.of_data(rl.load_data("pendulum-medium.safetensors"), seed=0)
    >>> agent.learn(20_000)
    """

    Config = SACBCConfig
    next_value: Any = SAC.next_value  # Any: mypy wants to see a SAC in `self`

    def build(self) -> None:
        super().build()
        self.whole = Undivided(self.policy, critics=self.critics)  # λ is a mean over the batch

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of everything, after which the targets move.

        Returns metrics, and |Q − y| of each row (B,).
        """
        c, s, s_next = self.set_rates(), self.observe(batch.observations), self.observe(batch.next_observations)
        rng, shape, alpha = self.rngs["noise"], batch.actions.shape, self.temperature.alpha
        noise_next, noise = (rng.standard_normal(shape, np.float32) for _ in range(2))
        y = batch.rewards + batch.discounts * self.halves.map(self.next_value, s_next, noise_next)
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        self.critics.follow(c.tau)
        rows = s, noise, batch.actions
        q, log_prob, distance = self.whole.step(self.policy_loss_gradient, self.policy_optimizer, *rows)
        self.temperature.step(log_prob)
        metrics = {"critic_loss": critic_loss, "td_error": float(errors.mean()), "distance": float(distance.mean())}
        return {**metrics, **means(q, log_prob, alpha)}, errors

    def policy_loss_gradient(self, networks, size, s, noise, data_actions) -> tuple[np.ndarray, ...]:
        """Of λ[α ln π(ã|s) − min_i Q_i(s, ã)] + mean_j (tanh μ_j − a_j)², averaged over the rows.

        Returns Q, ln π and the squared distance of these rows: (B,) each.
        """
        actions, log_prob = networks.policy.forward(s, noise)
        q, dactions = networks.critics.action_gradient(s, actions, dvalue=-1 / size)
        weight = dactions.dtype.type(self.now.value_weight / max(float(np.abs(q).mean()), 1e-8))
        dlog_prob = np.full_like(log_prob, weight * self.temperature.alpha / size)
        networks.policy.backward((weight * dactions, dlog_prob), inputs=False)
        modes, log_mode = networks.policy.forward(s, np.zeros_like(noise))  # without noise, ã is tanh μ
        error = modes - data_actions
        networks.policy.backward((error * error.dtype.type(2 / error.size), np.zeros_like(log_mode)), inputs=False)
        return q, log_prob, (error * error).mean(axis=1)
