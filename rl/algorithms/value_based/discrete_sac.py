"""Soft Actor-Critic for choices (Christodoulou 2019; after Haarnoja et al. 2018).

    repeat
        a ~ π(·|s) = softmax(z(s)), step, remember (s, a, r, s′)
        for each minibatch
            V̄(s′) = Σ_a′ π(a′|s′)(min_i Q̄_i(s′, a′) − α ln π(a′|s′))       a sum: nothing is drawn
            y ← r + γ(1 − terminated) V̄(s′)
            φ_i ← Adam descent on  (Q_i(s, a) − y)²                          i = 1, 2
            θ ← Adam descent on  Σ_a π(a|s)(α ln π(a|s) − min_i Q_i(s, a))
            α ← Adam descent on  −ln α·(Σ_a π(a|s) ln π(a|s) + H̄)
            Q̄_i ← (1 − τ)Q̄_i + τQ_i

H̄ = 0.6 ln C unless set; the paper has 0.98 ln C, which leaves the policy nearly uniform. The −A of
continuous actions is no target here: the entropy of choices is never negative.

Shapes: B rows, O observation, C choices.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepnp import Module
from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.replay_config import ReplayConfig, make_memory
from rl.config import rate, setting
from rl.experience.environments import EnvLike
from rl.experience.replay import Batch
from rl.loops import off_policy
from rl.losses.checks import check_finite, check_gradient
from rl.losses.soft import soft_policy_loss, soft_value
from rl.names import explained, explained_class
from rl.networks.choice_critics import ChoiceCritics
from rl.networks.encoders import network
from rl.networks.own import given_networks
from rl.networks.policies import ChoicePolicy
from rl.networks.temperature import Temperature
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes

ENTROPY_SHARE = 0.6  # of ln C, the entropy of a uniform choice


@explained_class
@dataclass(frozen=True)
class DiscreteSACConfig(ReplayConfig):
    """Settings of DiscreteSAC."""

    algorithm: ClassVar[str] = "DiscreteSAC"

    tau: Rate = rate(0.005, "the networks' share in each move of their targets, τ", 0, 1)
    lr: Rate = rate(3e-4, "Adam's learning rate, α", 0, 10)
    critic_lr: Rate | None = rate(None, "that of the critics; None: lr", 0, 10)
    hidden: tuple[int, ...] = setting((256, 256), "widths of all networks' hidden layers")
    activation: str = setting("relu", "between the layers", choices=tuple(ACTIVATIONS))
    error_limit: float | None = setting(None, "TD error beyond which the critics' loss is linear (Huber), κ; None: never", 1e-9)
    temperature: Rate | None = rate(None, "fixed weight of the entropy, α; None: tuned", 0)
    initial_temperature: float = setting(1.0, "α at the start, where it is tuned", 1e-6)
    target_entropy: Rate | None = rate(None, "H̄ that a tuned α aims at; None: 0.6 ln C", -1e6, 1e6)

    @property
    def critic_rate(self) -> Rate:
        """The critics' learning rate."""
        return self.lr if self.critic_lr is None else self.critic_lr


class DiscreteSAC(Agent):
    """A SAC agent for choices: `DiscreteSAC(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for the logits z(s): observations (B, …) -> (B, C). See
        rl/networks/own.py.

    Examples
    --------
    >>> agent = DiscreteSAC("CartPole-v1", DiscreteSACConfig(warmup=1000, memory=50_000), seed=0)
    >>> agent.learn(50_000)
    """

    Config = DiscreteSACConfig
    takes = Takes(actions=("Discrete",), masks=True, goals=True, on_policy=False)
    iterate = off_policy.iterate
    own_networks = ("policy",)

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: DiscreteSACConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy})

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "environment")
        rng, activation = self.rngs["weights"], ACTIVATIONS[c.activation]
        own = given_networks(self.networks, space.observation, policy=space.actions)
        self.policy = ChoicePolicy(space, c.hidden, activation, rng, own.get("policy"))
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        twins = [network(space.observation, c.hidden, space.actions, activation, rng) for _ in range(2)]
        self.critics = ChoiceCritics(twins, c.critic_rate, math.inf if c.error_limit is None else c.error_limit)
        self.temperature = Temperature(c.temperature, c.initial_temperature, self.target_entropy(c), c.lr)
        self.memory = make_memory(space, c)

    def parts(self) -> dict[str, Part]:
        policy: dict[str, Part] = {"policy": self.policy, "policy_optimizer": self.policy_optimizer}
        return {**policy, "temperature": self.temperature, "critics": self.critics, "memory": self.memory}

    def target_entropy(self, settings: Any) -> float:
        """H̄."""
        return ENTROPY_SHARE * math.log(self.space.actions) if settings.target_entropy is None else settings.target_entropy

    def act(self, observations, rng) -> np.ndarray:
        distribution = self.policy.predict(observations)
        return distribution.mode() if rng is None else distribution.sample(rng)

    explore = act

    def set_rates(self) -> Any:
        """Let everything that steps take its rates of this moment; returns the settings as they are now."""
        c, temperature = self.now, self.temperature
        self.policy_optimizer.lr = temperature.optimizer.lr = c.lr
        self.critics.set_lr(c.critic_rate)
        temperature.fixed, temperature.target_entropy = c.temperature, self.target_entropy(c)
        return c

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of everything; returns metrics, and |Q − y| of each row (B,)."""
        c, s, s_next = self.set_rates(), self.observe(batch.observations), self.observe(batch.next_observations)
        alpha = self.temperature.alpha
        value = soft_value(self.policy.predict(s_next).logits, self.critics.target(s_next), alpha)
        y = batch.rewards + batch.discounts * value
        critic_loss, errors = self.critics.fit(s, batch.actions, y, batch.weights)
        self.critics.follow(c.tau)
        policy_loss, entropies = self.policy_step(s, alpha)
        self.temperature.step(-entropies)
        metrics = {"critic_loss": critic_loss, "td_error": float(errors.mean()), "policy_loss": policy_loss}
        return {**metrics, "entropy": float(entropies.mean()), "alpha": alpha}, errors

    def policy_step(self, s, alpha: float) -> tuple[float, np.ndarray]:
        """One step of the policy; returns its loss, and its entropy in each row (B,)."""
        values = self.critics.smallest(s)
        loss, dlogits, entropies = soft_policy_loss(self.policy.forward(s).logits, values, alpha)
        check_finite("policy loss", loss)
        self.policy.flat.zero_grad()
        self.policy.backward((dlogits,), inputs=False)
        check_gradient("policy's gradient", self.policy.flat)
        self.policy_optimizer.step()
        return loss, entropies
