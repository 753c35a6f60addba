"""TD3 with behavioural cloning (Fujimoto & Gu 2021): TD3 on a data set, held near its actions.

    repeat, with a batch of the data set
        ã′ ← clip(μ̄(s′) + clip(N(0, 0.2²), ±0.5), ±1)
        y ← r + γ(1 − terminated) min_i Q̄_i(s′, ã′)
        φ_i ← Adam descent on (Q_i(s, a) − y)²                    i = 1, 2
        every second time
            λ ← α / mean |Q_1(s, μ(s))|                           a plain number: nothing flows through it
            θ ← Adam descent on −λ Q_1(s, μ(s)) + mean_j (μ_j(s) − a_j)²
            μ̄ ← (1 − τ)μ̄ + τμ,   Q̄_i ← (1 − τ)Q̄_i + τQ_i

    dμ = (1/B)[ −λ ∇_a Q_1 + (2/A)(μ − a) ]          λ stands before Q alone: the lecture's gradient has it before both

With α = 0 it is behavioural cloning, with a large α TD3. The mean over action dimensions is that of
the authors' code, for which α = 2.5 was found; the paper's formula has the sum. All but the policy's step
is td3.py's.

Shapes: B rows, A action dimensions.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.algorithms.actor_critic.td3 import TD3
from rl.algorithms.offline.config import OfflineConfig, twin_critics
from rl.algorithms.offline.from_data import FromData
from rl.config import rate, setting
from rl.names import explained_class
from rl.networks.actors import deterministic_policy
from rl.networks.parallel import Halves
from rl.networks.targets import target_of
from rl.networks.undivided import Undivided
from rl.schedules import Rate
from rl.state import Counter, Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class TD3BCConfig(OfflineConfig):
    """Settings of TD3 with behavioural cloning."""

    algorithm: ClassVar[str] = "TD3BC"

    value_weight: Rate = rate(2.5, "how much values count beside the data's actions, α; 0: not at all", 0)
    smoothing: Rate = rate(0.2, "σ of the noise on the target policy's actions", 0)
    smoothing_clip: Rate = rate(0.5, "bound of that noise", 0)
    delay: int = setting(2, "critic updates for one of the policy and the targets, d", 1)
    exploration: Rate = rate(0.1, "σ of the noise on actions in the environment; actions live in [−1, 1]", 0)


class TD3BC(FromData):
    """A TD3+BC agent for continuous, bounded actions: `TD3BC.of_data(data, config, seed)`, see `FromData`.

    Examples
    --------
    >>> agent = TD3BC.of_data(rl.load_data("pendulum-medium.safetensors"), seed=0)
    >>> agent.learn(20_000)
    """

    Config = TD3BCConfig
    takes = Takes(bounded=True, on_policy=False, dataset=True)
    update: Any = TD3.update  # Any: mypy wants to see a TD3 in `self`
    next_value: Any = TD3.next_value
    act: Any = TD3.act
    explore = act

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "noise", "environment")
        rng = self.rngs["weights"]
        self.policy = deterministic_policy(space, c.hidden, ACTIVATIONS[c.activation], rng)
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.target_policy, self.follow = target_of(self.policy)
        self.critics = twin_critics(space, c, rng)
        self.halves = Halves(self.policy, target_policy=self.target_policy, critics=self.critics)
        self.whole = Undivided(self.policy, critics=self.critics)  # λ is a mean over the batch
        self.make_memory()
        self.critic_updates = Counter()

    def parts(self) -> dict[str, Part]:
        policies: dict[str, Part] = {
            "policy": self.policy,
            "policy_optimizer": self.policy_optimizer,
            "target_policy": self.target_policy,
        }
        return {**policies, "critics": self.critics, "critic_updates": self.critic_updates, **self.data_parts()}

    def policy_step(self, s, actions) -> dict[str, float]:
        """One step on −λQ_1(s, μ(s)) + mean_j (μ_j(s) − a_j)², for the data's `actions`; returns metrics."""
        q, distance = self.whole.step(self.policy_loss_gradient, self.policy_optimizer, s, actions)
        return {"q": float(q.mean()), "distance": float(distance.mean())}

    def policy_loss_gradient(self, networks, size, s, data_actions) -> tuple[np.ndarray, np.ndarray]:
        """Of −λQ_1(s, μ) + mean_j (μ_j − a_j)², averaged over the rows.

        Returns Q_1 and the squared distance of these rows: (B,) each.
        """
        actions = networks.policy.forward(s)
        q, dactions = networks.critics.action_gradient(s, actions, dvalue=-1 / size, count=1)
        weight = self.now.value_weight / max(float(np.abs(q).mean()), 1e-8)
        error = actions - data_actions
        dactions = dactions.dtype.type(weight) * dactions + error * error.dtype.type(2 / error.size)
        networks.policy.backward(dactions, inputs=False)
        return q, (error * error).mean(axis=1)
