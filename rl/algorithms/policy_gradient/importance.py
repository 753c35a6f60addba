"""Off-policy policy gradient by importance weights (the lecture, "Going off-policy by importance sampling"; the notes).

    repeat
        collect T steps in N environments with π, and remember them with ln b(a|s), where b = π of now
        A ← GAE(λ) of these rows and of those of the last K rollouts, all with the V of now
        for each step of the policy
            w ← what the rows of each b count under π            per step, per decision or per trajectory: losses/importance.py
            w ← min(w, c), then B w/Σ w                           where it is asked for
            θ ← one step of ascent on  w A ln π(a|s) + β H(π(·|s))
        ω ← some epochs of descent on  (V(s) − R)²,  R = A + V of the newest rollout

With weights per step this is the gradient of the surrogate E_b[ρA]: ∇ρ = ρ∇ ln π. It leaves the states as b met them, so π
must stay near; what the weights say of that is the metric `effective_sample_size`, (Σ w)²/Σ w². The other two correct the states
as well, and their variance grows with the length of the episodes ("even larger variance?", asks the lecture: yes).

Deviations: γ^t before the weights is left out, as in reinforce.py. A truncated weight still multiplies ∇ ln π, where PPO's clip
would end the gradient. The old rollouts' rewards are the old policies' doing, so V learns from the newest rollout alone. A product
begins where its rollout begins, if that is in the midst of an episode.

Shapes: T steps, N environments, B rows of K + 1 rollouts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepnp import Module
from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.policy_gradient.descent import policy_step, value_epochs
from rl.algorithms.policy_gradient.gradient_config import MEMORY, GradientConfig, refuse
from rl.algorithms.policy_gradient.networks import policy_and_value
from rl.config import setting, with_rates
from rl.experience import trees
from rl.experience.environments import EnvLike
from rl.experience.normalize import RewardScaler
from rl.experience.past import Past, Rollouts
from rl.experience.rollout import Rollout
from rl.experience.samples import Samples, samples_of
from rl.loops import on_policy
from rl.losses.importance import KINDS, effective_sample_size, log_weights, weights_of
from rl.losses.surrogate import standardize
from rl.names import explained, explained_class
from rl.state import Part, spawn_rngs
from rl.takes import STOCHASTIC_POLICY


@explained_class
@dataclass(frozen=True)
class OffPolicyPGConfig(GradientConfig):
    """Settings of OffPolicyPG: each field's default, its meaning with its symbol, its range."""

    algorithm: ClassVar[str] = "OffPolicyPG"

    num_envs: int = setting(8, "environments stepped at once, N", 1, 1_000_000)
    steps: int = setting(64, "steps of each environment in one iteration, T", 1, 10_000_000)
    lam: float = setting(0.95, "trace decay of GAE, λ", 0, 1)
    reuse: int = setting(4, "old rollouts that are learned from besides, K", 0, 10_000)
    weights: str = setting("step", "what a row's weight is a product over", choices=KINDS)
    truncation: float = setting(2.0, "bound of the weights, c; 1e9 is as good as none", 1e-3, 1e9)
    self_normalize: bool = setting(False, "weights of mean 1")
    policy_steps: int = setting(1, "steps of the policy in one iteration", 1, 10_000)
    epochs: int = setting(4, "passes of the value over the newest rollout", 1, 10_000)
    batch_size: int = setting(64, "rows of the value's minibatches", 1)

    def __post_init__(self):
        super().__post_init__()
        refuse(self, MEMORY, "old rollouts are read row by row")


class OffPolicyPG(Agent):
    """An agent that learns from its last rollouts: `OffPolicyPG(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for μ(s), or for the logits of choices: observations (B, …) -> (B, A).
    value : Module, optional
        One for V(s): (B, …) -> (B, 1). See rl/networks/own.py.

    Examples
    --------
    >>> OffPolicyPG("CartPole-v1", OffPolicyPGConfig(reuse=4), seed=0).learn(100_000)
    """

    Config = OffPolicyPGConfig
    takes = STOCHASTIC_POLICY
    iterate, act, learn_scale = on_policy.iterate, on_policy.act, on_policy.learn_scale
    own_networks = ("policy", "value")

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: OffPolicyPGConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
        value: Module | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy, "value": value})

    def build(self) -> None:
        c = self.now
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "value", "environment")
        self.policy, self.value = policy_and_value(self.space, c, self.networks, self.rngs["weights"])
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.value_optimizer = Adam(self.value.flat, c.value_rate)
        self.scaler = RewardScaler(c.gamma) if c.scale_rewards else None
        self.rollouts = Rollouts(self.space.observation, self.space.action, c.reuse)

    def parts(self) -> dict[str, Part]:
        names = "policy", "value", "policy_optimizer", "value_optimizer", "scaler", "rollouts"
        return {name: part for name in names if (part := getattr(self, name)) is not None}

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Some steps of the policy on all rollouts, some epochs of the value on the newest; returns metrics."""
        c = with_rates(self.at(progress), self.config.annealed(progress))
        self.policy_optimizer.lr, self.value_optimizer.lr = c.lr, c.value_rate
        newest = Past(rollout, self.log_prob(rollout))
        all_of_them = [*self.rollouts.past, newest]
        parts = [samples_of(p.rollout, lambda s: self.value.predict(s)[:, 0], c.gamma, c.lam, None) for p in all_of_them]
        if c.normalize_advantages:  # each rollout's by themselves: older policies' returns lie below the V of now
            parts = [p._replace(advantages=standardize(p.advantages)) if len(p.advantages) > 1 else p for p in parts]
        observations, *columns = zip(*parts, strict=True)
        samples, metrics = Samples(trees.concatenate(observations), *map(np.concatenate, columns)), []
        for _ in range(c.policy_steps):
            log_w = np.concatenate([self.log_weights(past) for past in all_of_them])
            psi = (weights_of(log_w, c.truncation, c.self_normalize) * samples.advantages).astype(samples.advantages.dtype)
            step = self.guard.attempt(
                policy_step, self.policy, self.policy_optimizer, samples.observations, samples.actions, psi, c
            )
            metrics.append({**(step or {}), "effective_sample_size": effective_sample_size(log_w)})
        self.rollouts.add(newest)
        fitted = {**value_epochs(self, parts[-1], c), "explained_variance": parts[-1].explained_variance()}
        return {**metrics[-1], "rows": len(log_w), **fitted, "lr": c.lr}

    def log_weights(self, past: Past) -> np.ndarray:
        """ln w of a rollout's rows under the policy of now: (B,)."""
        rollout, log_b = past
        log_ratios = np.where(rollout.valid, self.log_prob(rollout) - log_b, 0)
        return np.asarray(rollout.rows(log_weights(self.config.weights, log_ratios, rollout.ended)))

    def log_prob(self, rollout: Rollout) -> np.ndarray:
        """ln π(a|s) of each step (T, N)."""
        rows, actions = trees.flat(rollout.observations), np.asarray(trees.flat(rollout.actions))
        return self.policy.predict(rows).log_prob(actions).reshape(rollout.rewards.shape)
