"""Soft actor-critic without a memory: on-policy, as the notes derive it (Algorithm 7, "simplified"; after Haarnoja et al. 2018).

    repeat
        T steps in each of N environments with a ~ π(·|s)
        for each of K passes over them, all rows at once
            ã′ ~ π(·|s′)
            y ← r + γ(1 − terminated)(Q(s′, ã′) − α ln π(ã′|s′))         Q itself: there is no target network
            φ ← Adam descent on  (Q(s, a) − y)²
            ã = tanh(μ(s) + σ(s)ξ)                                       drawn anew: nothing flows to θ through a stored a
            θ ← Adam descent on  α ln π(ã|s) − Q(s, ã)
            α ← Adam descent on  −ln α·(ln π(ã|s) + H̄)

It is soft policy iteration with one small step of each kind, and no policy gradient theorem: θ goes straight up through Q. From
here SAC (sac.py) takes a memory, two critics, of which the smaller counts, and targets that follow. The steps are those of SAC.

Deviations: the notes keep α fixed (`temperature`), and have K = 1. States come as π visits them, without γ^t.

Shapes: T steps, N environments, B = T·N rows (fewer where steps never happened), A action dimensions.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.algorithms.actor_critic.sac import SAC
from rl.config import check_config, rate, setting
from rl.experience.normalize import RewardScaler
from rl.experience.normalizers import NORMALIZERS
from rl.experience.replay import Batch
from rl.experience.rollout import Rollout
from rl.loops import on_policy
from rl.names import explained_class
from rl.networks.actors import SquashedGaussianPolicy
from rl.networks.critics import Critics
from rl.networks.encoders import network
from rl.networks.own import check_apart, given_networks, own_critics
from rl.networks.parallel import Halves
from rl.networks.temperature import Temperature
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class OnPolicySACConfig:
    """Settings of OnPolicySAC: each field's default, its meaning with its symbol, its range."""

    algorithm: ClassVar[str] = "OnPolicySAC"

    num_envs: int = setting(16, "environments stepped at once, N", 1, 1_000_000)
    steps: int = setting(8, "steps of each environment in one iteration, T", 1, 10_000_000)
    epochs: int = setting(8, "gradient steps of everything on each rollout, K", 1, 10_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    lr: Rate = rate(3e-4, "Adam's learning rate, α", 0, 10)
    critic_lr: Rate | None = rate(None, "that of the critic; None: lr", 0, 10)
    hidden: tuple[int, ...] = setting((64, 64), "widths of both networks' hidden layers")
    activation: str = setting("relu", "between the layers", choices=tuple(ACTIVATIONS))
    temperature: Rate | None = rate(None, "fixed weight of the entropy, α; None: tuned", 0)
    initial_temperature: float = setting(1.0, "α at the start, where it is tuned", 1e-6)
    target_entropy: Rate | None = rate(None, "H̄ that a tuned α aims at; None: −A", -1e6, 1e6)
    normalize_observations: bool = setting(True, "running normalisation")
    normalizer: str = setting("standard", "normalisation by mean and deviation, or by the range seen", choices=tuple(NORMALIZERS))
    observation_clip: float = setting(10.0, "bound of normalised observations", 1e-6)
    scale_rewards: bool = setting(True, "divide by the running σ of the discounted return")

    def __post_init__(self):
        check_config(self)

    @property
    def critic_rate(self) -> Rate:
        """The critic's learning rate."""
        return self.lr if self.critic_lr is None else self.critic_lr


class OnPolicySAC(SAC):
    """An on-policy SAC agent for continuous, bounded actions: `OnPolicySAC(env, config, seed)`, see `Agent`; networks as SAC's.

    Examples
    --------
    >>> OnPolicySAC("Pendulum-v1", seed=0).learn(200_000)
    """

    Config = OnPolicySACConfig
    takes = Takes(bounded=True)
    iterate, learn_scale = on_policy.iterate, on_policy.learn_scale

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "noise", "environment")
        activation, rng = ACTIVATIONS[c.activation], self.rngs["weights"]
        own, made = given_networks(self.networks, space.observation, policy=2 * space.actions), self.networks.get("critic")
        self.policy = SquashedGaussianPolicy(space, c.hidden, activation, True, rng, own.get("policy"))
        if made is None:
            critic = network(space.observation, c.hidden, 1, activation, rng, beside=space.actions)
        else:
            (critic,) = own_critics(made, 1, space.observation, space.actions, rng)
            check_apart({"policy": self.policy, "critic": critic})
        self.critics = Critics([critic], c.critic_rate, targets=False)
        self.halves = Halves(self.policy, critics=self.critics)
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.temperature = Temperature(c.temperature, c.initial_temperature, self.target_entropy(c), c.lr)
        self.scaler = RewardScaler(c.gamma) if c.scale_rewards else None

    def parts(self) -> dict[str, Part]:
        scaler: dict[str, Part] = {"scaler": self.scaler} if self.scaler else {}
        policy: dict[str, Part] = {"policy": self.policy, "policy_optimizer": self.policy_optimizer}
        return {**policy, "temperature": self.temperature, "critics": self.critics, **scaler}

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """K gradient steps of everything; returns the metrics of the last one."""
        c, metrics = self.set_rates(), {}
        batch = fresh(rollout, c.gamma)
        for _ in range(c.epochs):
            metrics, _ = self.guard.attempt(self.step, batch) or (metrics, None)
        return {**metrics, "lr": c.lr}


def fresh(rollout: Rollout, gamma: float) -> Batch:
    """The steps of a rollout that happened, as SAC learns from them."""
    discounts = np.where(rollout.terminated, 0, gamma).astype(rollout.rewards.dtype)
    columns = rollout.observations, rollout.actions, rollout.rewards, rollout.following(), discounts
    happened: list[Any] = [rollout.rows(column) for column in columns]
    s, a, r, s_next, discounts = happened
    return Batch(s, a, r, s_next, discounts, np.ones_like(r), np.arange(len(r)))
