"""Twin Delayed DDPG (Fujimoto et al. 2018; Algorithm 21 of the thesis, corrected).

    repeat
        a ← clip(μ(s) + N(0, 0.1²), ±1), step, remember (s, a, r, s′)
        for each minibatch
            ã′ ← clip(μ̄(s′) + clip(N(0, 0.2²), ±0.5), ±1)            smoothed, so that a narrow peak of Q is no target
            y ← r + γ(1 − terminated) min_i Q̄_i(s′, ã′)
            φ_i ← Adam descent on (Q_i(s, a) − y)²                    i = 1, 2
            every second time
                θ ← Adam descent on −Q_1(s, μ(s))
                μ̄ ← (1 − τ)μ̄ + τμ,   Q̄_i ← (1 − τ)Q̄_i + τQ_i      inside the delay: the thesis moves them every time

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
from rl.experience.exploration import gaussian
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
from rl.state import Counter, Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class TD3Config(OffPolicyConfig):
    """Settings of TD3."""

    algorithm: ClassVar[str] = "TD3"

    exploration: Rate = rate(0.1, "σ of the noise on actions while exploring; actions live in [−1, 1]", 0)
    smoothing: Rate = rate(0.2, "σ of the noise on the target policy's actions", 0)
    smoothing_clip: Rate = rate(0.5, "bound of that noise", 0)
    delay: int = setting(2, "critic updates for one of the policy and the targets, d", 1)


class TD3(Agent):
    """A TD3 agent for continuous, bounded actions: `TD3(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for what μ(s) is the tanh of: observations (B, …) -> (B, A).
    critic : callable, optional
        A function of a random generator that makes one for Q(s, a): [observations, actions] side by
        side (B, O + A) -> (B, 1). See rl/networks/own.py.

    Examples
    --------
    >>> agent = TD3("Pendulum-v1", TD3Config(warmup=1000), seed=0)
    >>> agent.learn(20_000)
    """

    Config = TD3Config
    takes = Takes(bounded=True, goals=True, on_policy=False)
    iterate = off_policy.iterate
    own_networks = ("policy", "critic")

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: TD3Config | None = None,
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
        self.target_policy, self.follow = target_of(self.policy, c.targets)
        self.critics = make_critics(space, c, 2, rng, self.policy, self.networks.get("critic"))
        self.recall = recall_of(c, self.policy)
        self.halves = passes_of(c, self.policy, target_policy=self.target_policy, critics=self.critics)
        self.memory = make_memory(space, c)
        self.critic_updates = Counter()

    def parts(self) -> dict[str, Part]:
        policies: dict[str, Part] = {"policy": self.policy, "policy_optimizer": self.policy_optimizer}
        if self.target_policy is not self.policy:
            policies["target_policy"] = self.target_policy
        own: dict[str, Part] = {"critics": self.critics, "memory": self.memory, "critic_updates": self.critic_updates}
        return {**policies, **own, **carried(self.recall)}

    def act(self, observations, rng) -> np.ndarray:
        actions = to_device(self.policy.predict(observations), "cpu")
        return actions if rng is None else gaussian(actions, self.now.exploration, rng)

    explore = act

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of the critics; every `delay`-th time of the policy too, and the targets move.

        Returns metrics, and |Q − y| of each row (B,).
        """
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        self.critics.set_lr(c.critic_rate)
        noise = c.smoothing * self.rngs["noise"].standard_normal(batch.actions.shape, np.float32)
        noise = np.clip(noise, -c.smoothing_clip, c.smoothing_clip).astype(np.float32)
        y = batch.rewards + batch.discounts * self.halves.map(self.next_value, s_next, noise)
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        metrics = {"critic_loss": critic_loss, "td_error": float(errors.mean())}
        self.critic_updates.count += 1
        if self.critic_updates.count % c.delay == 0:
            self.critics.follow(c.tau)
            metrics |= self.policy_step(s, batch.actions)
            self.follow(c.tau)
        return metrics, errors

    def policy_step(self, s, actions) -> dict[str, float]:
        """One step on −Q_1(s, μ(s)), whatever `actions` were taken; returns metrics."""
        q = self.halves.step(value_gradient, self.policy_optimizer, s)
        return {"policy_loss": -float(q.mean())}

    def next_value(self, networks, s_next, noise) -> np.ndarray:
        """min_i Q̄_i(s′, ã′) of smoothed actions: (B,)."""
        a_next = (networks.target_policy.predict(s_next) + noise).clip(np.float32(-1), np.float32(1))
        return networks.critics.target(s_next, a_next)
