"""Q-learning with normalised advantage functions, NAF (Gu, Lillicrap, Sutskever & Levine 2016).

    Q(s, a) = V(s) − ½‖L(s)ᵀ(a − μ(s))‖²                        so max_a Q(s, a) = V(s), at a = μ(s)
    repeat
        a ← clip(μ(s) + noise, ±1), step, remember (s, a, r, s′)     N(0, σ²), or N(0, σ²(LLᵀ)⁻¹)
        for each minibatch
            y ← r + γ(1 − terminated) V̄(s′)
            θ ← Adam descent on (Q(s, a) − y)², linear where |Q(s, a) − y| > κ
            θ̄ ← (1 − τ)θ̄ + τθ

One network has three heads: V, μ and L. Paper: Ornstein-Uhlenbeck noise, batch normalisation, and the
plain square. With it, the large errors of the first updates drive μ to the ends of tanh.

Shapes: B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.replay_config import ReplayConfig, make_memory
from rl.config import rate, setting
from rl.experience.exploration import gaussian
from rl.experience.replay import Batch
from rl.loops import off_policy
from rl.losses.td import td_loss
from rl.names import explained_class
from rl.networks.naf import NAFNetwork
from rl.networks.q_steps import step
from rl.networks.targets import target_of
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class NAFConfig(ReplayConfig):
    """Settings of NAF."""

    algorithm: ClassVar[str] = "NAF"

    batch_size: int = setting(128, "transitions of an update", 1, 1_000_000)
    warmup: int = setting(1_000, "steps with random actions, before any update", 0)
    tau: Rate = rate(0.005, "the network's share in each move of its target, τ", 0, 1)
    lr: Rate = rate(1e-3, "Adam's learning rate, α", 0, 10)
    hidden: tuple[int, ...] = setting((200, 200), "widths of the network's hidden layers")
    activation: str = setting("relu", "between the layers", choices=tuple(ACTIVATIONS))
    error_limit: float = setting(1.0, "TD error beyond which the loss is linear (Huber), κ", 1e-9)
    noise: str = setting("gaussian", "kind of noise while exploring; shaped: by the inverse of LLᵀ", choices=("gaussian", "shaped"))
    exploration: Rate = rate(0.1, "σ of that noise; actions live in [−1, 1]", 0)


class NAF(Agent):
    """A NAF agent for continuous, bounded actions: `NAF(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> agent = NAF("Pendulum-v1", NAFConfig(exploration=0.3), seed=0)
    >>> agent.learn(20_000)
    """

    Config = NAFConfig
    takes = Takes(bounded=True, goals=True, on_policy=False)
    iterate = off_policy.iterate

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "environment")
        self.policy = NAFNetwork(space, c.hidden, ACTIVATIONS[c.activation], self.rngs["weights"])
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.target_policy, self.follow = target_of(self.policy)
        self.memory = make_memory(space, c)

    def parts(self) -> dict[str, Part]:
        networks: dict[str, Part] = {"policy": self.policy, "target_policy": self.target_policy}
        return {**networks, "policy_optimizer": self.policy_optimizer, "memory": self.memory}

    def act(self, observations, rng) -> np.ndarray:
        mean, sigma = self.policy.predict(observations), self.now.exploration
        if rng is None or self.config.noise == "gaussian":
            return mean if rng is None else gaussian(mean, sigma, rng)
        drawn = mean + mean.dtype.type(sigma) * self.policy.noise(observations, rng)
        return np.clip(drawn, np.float32(-1), np.float32(1))

    explore = act

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step; the target moves. Returns metrics, and |Q − y| of each row (B,)."""
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        y = batch.rewards + batch.discounts * self.target_policy.value(s_next)

        def loss(q):
            return td_loss(q, y, batch.weights, limit=c.error_limit)

        value, errors = step(self.policy, self.policy_optimizer, (s, batch.actions), loss)
        self.follow(c.tau)
        errors = np.abs(errors)
        return {"critic_loss": value, "td_error": float(errors.mean()), "target": float(y.mean())}, errors
