"""Deterministic policy gradient (Silver et al. 2014; Algorithm 6 of the notes).

    repeat
        one step in each of N environments with a = clip(μ(s) + noise, ±1)
        a′ ← μ(s′)                                       off-policy (COPDAC-Q); on-policy where there is no noise
             or the action that is taken next            on-policy (the paper's SARSA critic)
        δ ← r + γ(1 − terminated) Q(s′, a′) − Q(s, a)
        φ ← φ + α_φ (1/B) Σ δ ∇Q(s, a)
        θ ← θ + α_θ (1/B) Σ ∇μ(s)ᵀ ∇_a Q(s, a)|_{a = μ(s)}         at a = μ(s), not at the action that was taken

∇J = (1/(1 − γ)) E_{s ~ d_γ}[∇μ(s)ᵀ ∇_a Q(s, μ(s))]; the notes leave out 1/(1 − γ). It goes into α_θ. No action has to be drawn
for it, so its variance does not grow with the actions' number, and nothing has to be reweighed off-policy: μ(s) is looked up,
whoever chose a.

No memory and no target networks: the N environments make the batch. DDPG (ddpg.py) adds both. The critic is the compatible one,
(a − μ(s))ᵀ ∇μ(s)ᵀ w + V(s), see rl/networks/compatible.py; or a network Q(s, a).

Deviations: the actions are tanh(…) ∈ (−1, 1), and Adam may take both steps ("sgd" is the paper's). States are not weighed by γ^t.

Shapes: T steps, N environments, B = T·N rows (fewer where steps never happened), A action dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepnp import Module
from deepnp.models.mlp import ACTIVATIONS
from rl.agent import Agent
from rl.config import check_config, rate, setting
from rl.experience import trees
from rl.experience.environments import EnvLike
from rl.experience.exploration import gaussian
from rl.experience.normalize import RewardScaler
from rl.experience.normalizers import NORMALIZERS
from rl.experience.rollout import Rollout
from rl.loops import on_policy
from rl.losses.checks import check_finite, check_gradient
from rl.names import explained, explained_class
from rl.networks.actors import deterministic_policy
from rl.networks.compatible import CompatibleCritic
from rl.networks.critics import OPTIMIZERS, Critics
from rl.networks.encoders import network
from rl.networks.own import check_apart, given_networks, own_critics
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class DPGConfig:
    """Settings of DPG: each field's default, its meaning with its symbol, its range."""

    algorithm: ClassVar[str] = "DPG"

    num_envs: int = setting(16, "environments stepped at once, N", 1, 1_000_000)
    steps: int = setting(1, "steps of each environment in one iteration, T", 1, 10_000_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    next_action: str = setting("policy", "a′: the policy's (off-policy), or that taken next", choices=("policy", "taken"))
    compatible: bool = setting(True, "Q is the compatible critic; False: a network")
    exploration: Rate = rate(0.1, "σ of the noise while exploring; actions live in [−1, 1]", 0)
    lr: Rate = rate(1e-4, "learning rate of the policy, α_θ", 0, 10)
    critic_lr: Rate = rate(1e-3, "that of the critic, α_φ", 0, 10)
    optimizer: str = setting("adam", "what takes the steps", choices=tuple(OPTIMIZERS))
    hidden: tuple[int, ...] = setting((64, 64), "widths of the policy's hidden layers")
    critic_hidden: tuple[int, ...] | None = setting(None, "widths of the critic's hidden layers; None: hidden")
    activation: str = setting("tanh", "between the layers", choices=tuple(ACTIVATIONS))
    normalize_observations: bool = setting(True, "running normalisation")
    normalizer: str = setting("standard", "normalisation by mean and deviation, or by the range seen", choices=tuple(NORMALIZERS))
    observation_clip: float = setting(10.0, "bound of normalised observations", 1e-6)
    scale_rewards: bool = setting(True, "divide by the running σ of the discounted return")

    def __post_init__(self):
        check_config(self)


class DPG(Agent):
    """A DPG agent for continuous, bounded actions: `DPG(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for what μ(s) is the tanh of: observations (B, …) -> (B, A).
    critic : callable, optional
        A function of a random generator that makes one for Q(s, a): [observations, actions] side by
        side (B, O + A) -> (B, 1). See rl/networks/own.py.

    Examples
    --------
    >>> DPG("Pendulum-v1", DPGConfig(lr=1e-3), seed=0).learn(100_000)
    """

    Config = DPGConfig
    takes = Takes(bounded=True)
    iterate, learn_scale = on_policy.iterate, on_policy.learn_scale
    own_networks = ("policy", "critic")

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: DPGConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
        critic: Callable[[np.random.Generator], Module] | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy, "critic": critic})

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "environment")
        own = given_networks(self.networks, space.observation, policy=space.actions)
        activation, rng = ACTIVATIONS[c.activation], self.rngs["weights"]
        self.policy = deterministic_policy(space, c.hidden, activation, rng, own.get("policy"))
        self.policy_optimizer = OPTIMIZERS[c.optimizer](self.policy.flat, c.lr)
        self.critics = Critics([self.made_critic(activation, rng)], c.critic_lr, optimizer=c.optimizer, targets=False)
        self.scaler = RewardScaler(c.gamma) if c.scale_rewards else None

    def made_critic(self, activation, rng) -> Module:
        """Q as the settings ask for it, or as it was handed in."""
        c, space, own = self.config, self.space, self.networks.get("critic")
        if own is not None:
            (made,) = own_critics(own, 1, space.observation, space.actions, rng)
            check_apart({"policy": self.policy, "critic": made})
            return made
        widths, beside = c.hidden if c.critic_hidden is None else c.critic_hidden, 0 if c.compatible else space.actions
        made = network(space.observation, widths, 1, activation, rng, beside=beside)
        return CompatibleCritic(self.policy, made, space.actions) if c.compatible else made

    def parts(self) -> dict[str, Part]:
        scaler = {"scaler": self.scaler} if self.scaler else {}
        return {"policy": self.policy, "critics": self.critics, "policy_optimizer": self.policy_optimizer, **scaler}

    def act(self, observations, rng) -> np.ndarray:
        actions = self.policy.predict(observations)
        return actions if rng is None else gaussian(actions, self.now.exploration, rng)

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """One step of the critic and one of the policy; returns metrics."""
        c = self.at(progress)
        self.policy_optimizer.lr = c.lr
        self.critics.set_lr(c.critic_lr)
        s_next = trees.flat(rollout.following())
        q_next = self.critics.target(s_next, self.next_actions(rollout, s_next)).reshape(rollout.rewards.shape)
        y = rollout.rewards + c.gamma * np.where(rollout.terminated, 0, q_next).astype(q_next.dtype)
        s, a, targets = map(rollout.rows, (rollout.observations, rollout.actions, y))
        critic = self.guard.attempt(self.critic_step, s, a, targets)
        policy = self.guard.attempt(self.policy_step, s)
        return {**(critic or {}), **(policy or {}), "lr": c.lr}

    def next_actions(self, rollout: Rollout, s_next) -> np.ndarray:
        """a′ for the observations after each step, as rows (T·N, A)."""
        if self.config.next_action == "policy":
            return self.policy.predict(s_next)
        # The last step's is not taken yet, and a cut episode's never will be: those are drawn as they would be taken.
        actions = self.act(s_next, self.rngs["actions"]).reshape(rollout.actions.shape)
        actions[:-1] = np.where(rollout.ended[:-1, :, None], actions[:-1], rollout.actions[1:])
        return actions.reshape(trees.length(s_next), -1)

    def critic_step(self, observations, actions, targets) -> dict[str, float]:
        """One step on ½(1/B) Σ (Q − y)², whose gradient is −(1/B) Σ δ∇Q; returns metrics."""
        halves = np.full(len(targets), 0.5, targets.dtype)
        loss, errors = self.critics.fit(observations, actions, targets=targets, weights=halves)
        return {"critic_loss": loss, "td_error": float(errors.mean())}

    def policy_step(self, observations) -> dict[str, float]:
        """One step along ∇μ(s)ᵀ ∇_a Q(s, μ(s)); returns metrics."""
        actions = self.policy.forward(observations)
        q, dactions = self.critics.action_gradient(observations, actions, dvalue=-1 / len(actions))
        check_finite("policy loss", float(q.mean()))
        self.policy.zero_grad()
        self.policy.backward(dactions, inputs=False)
        check_gradient("policy's gradient", self.policy.flat)
        self.policy_optimizer.step()
        return {"policy_loss": -float(q.mean())}
