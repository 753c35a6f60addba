"""Deep Deterministic Policy Gradient (Lillicrap et al. 2016; Algorithm 20 of the thesis).

    repeat
        a ← clip(μ(s) + noise, ±1), step, remember (s, a, r, s′)     Gaussian noise, or one that remembers itself
        for each minibatch
            y ← r + γ(1 − terminated) Q̄(s′, μ̄(s′))
            φ ← Adam descent on (Q(s, a) − y)²
            θ ← Adam descent on −Q(s, μ(s))
            μ̄ ← (1 − τ)μ̄ + τμ,   Q̄ ← (1 − τ)Q̄ + τQ

Shapes: B rows, O observation, A action dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepnp import Module
from deepnp.backend import to_device
from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.actor_critic.config import OffPolicyConfig, make_critics
from rl.algorithms.replay_config import make_memory
from rl.config import rate, setting
from rl.experience.environments import EnvLike
from rl.experience.exploration import OrnsteinUhlenbeck, gaussian
from rl.experience.replay import Batch
from rl.loops import off_policy
from rl.names import explained, explained_class
from rl.networks.actor_kinds import deterministic
from rl.networks.actors import value_gradient
from rl.networks.own import given_networks
from rl.networks.recalling import actor_of
from rl.networks.replay_recall import carried, recall_of
from rl.networks.targets import target_of
from rl.networks.undivided import passes_of
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class DDPGConfig(OffPolicyConfig):
    """Settings of DDPG."""

    algorithm: ClassVar[str] = "DDPG"

    noise: str = setting("gaussian", "kind of noise while exploring", choices=("gaussian", "ornstein-uhlenbeck"))
    exploration: Rate = rate(0.1, "σ of that noise; actions live in [−1, 1]", 0)

    @property
    def policy_follows(self) -> bool:
        """Whether there is a target policy."""
        return self.targets


class DDPG(Agent):
    """A DDPG agent for continuous, bounded actions: `DDPG(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for what μ(s) is the tanh of: observations (B, …) -> (B, A).
    critic : callable, optional
        A function of a random generator that makes one for Q(s, a): [observations, actions] side by
        side (B, O + A) -> (B, 1). See rl/networks/own.py.

    Examples
    --------
    >>> agent = DDPG("Pendulum-v1", DDPGConfig(warmup=1000), seed=0)
    >>> agent.learn(20_000)
    """

    Config = DDPGConfig
    takes = Takes(bounded=True, goals=True, on_policy=False)
    iterate = off_policy.iterate
    own_networks = ("policy", "critic")
    critic_count = 1

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: DDPGConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
        critic: Callable[[np.random.Generator], Module] | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy, "critic": critic})

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "noise", "environment")
        rng = self.rngs["weights"]
        own = given_networks(self.networks, space.observation, policy=space.actions)
        self.policy = actor_of(deterministic, space, c, rng, own.get("policy"))
        self.policy_optimizer = Adam(self.policy.to(c.device).flat, c.lr)
        self.target_policy, self.follow = target_of(self.policy, c.policy_follows)
        self.critics = make_critics(space, c, self.critic_count, rng, self.policy, self.networks.get("critic"))
        self.recall = recall_of(c, self.policy)
        self.halves = passes_of(c, self.policy, target_policy=self.target_policy, critics=self.critics)
        self.memory = make_memory(space, c)
        self.noise = OrnsteinUhlenbeck(c.exploration)

    def parts(self) -> dict[str, Part]:
        policies: dict[str, Part] = {"policy": self.policy, "policy_optimizer": self.policy_optimizer}
        if self.target_policy is not self.policy:
            policies["target_policy"] = self.target_policy
        return {**policies, "critics": self.critics, "memory": self.memory, "noise": self.noise, **carried(self.recall)}

    def act(self, observations, rng) -> np.ndarray:
        actions = to_device(self.policy.predict(observations), "cpu")
        return actions if rng is None else gaussian(actions, self.now.exploration, rng)

    def explore(self, observations, rng) -> np.ndarray:
        if self.config.noise == "gaussian":
            return self.act(observations, rng)
        self.noise.sigma = self.now.exploration
        self.noise.reset(self.collector.ended)
        return self.noise(self.act(observations, None), rng)

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of the critic and of the policy; the targets move.

        Returns metrics, and |Q − y| of each row.
        """
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        self.critics.set_lr(c.critic_rate)
        y = batch.rewards + batch.discounts * self.halves.map(self.next_value, s_next)
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        self.critics.follow(c.tau)
        q = self.halves.step(value_gradient, self.policy_optimizer, s)
        self.follow(c.tau)
        return {"critic_loss": critic_loss, "td_error": float(errors.mean()), "policy_loss": -float(q.mean())}, errors

    def next_value(self, networks, s_next) -> np.ndarray:
        """Q̄(s′, μ̄(s′)), of the smaller critic where there are two: (B,)."""
        return networks.critics.target(s_next, networks.target_policy.predict(s_next))
