"""Proximal Policy Optimization (Schulman et al. 2017; Algorithm 12 of the thesis, corrected).

    repeat
        collect T steps in N environments with π_old
        A ← GAE(λ)                         cut at every episode's end, bootstrapped with V where it was truncated
        R ← A + V_old
        for each epoch, for each minibatch
            θ ← Adam descent on  L_π                                       ρ = π(a|s)/π_old(a|s)
            ω ← Adam descent on  c_v (V(s) − R)²
        stop the policy's epochs early if KL(π_old‖π) > d_target

    L_π = −min(ρA, clip(ρ, 1±ε)A) − β H(π)                                 penalty "clip"
    L_π = −ρA + β_KL KL(π_old‖π) − β H(π)                                  "kl-fixed", "kl-adaptive"; "none": β_KL = 0
    adaptive, after each iteration:  β_KL ← β_KL/2 if KL(π_old‖π) < d_targ/1.5,  2β_KL if > 1.5 d_targ

Policy and value share no parameter, so the two descents are independent programs: `policy_step` and `value_step`, or a whole
epoch in one call where ppo_epochs.py knows the networks. With `shared` they have one trunk, and one `shared_step` on the sum.
Of k-of-n choices, KL and H are those of the first draw, and π(a|s) that of all: rl/networks/subset.py.
Algorithm 12, line 12, gives tanh a to the environment: `squash="tanh"`. By default a is clipped there, and learned from as drawn.

Shapes: T steps, N environments, B = T·N rows (fewer where steps never happened), A action dimensions.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deepnp import Module
from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.policy_gradient.descent import value_epochs
from rl.algorithms.policy_gradient.kl_coefficient import AdaptiveCoefficient
from rl.algorithms.policy_gradient.networks import policy_and_value, recall_of
from rl.algorithms.policy_gradient.ppo_config import PPOConfig
from rl.algorithms.policy_gradient.ppo_epochs import policy_epoch, value_epoch
from rl.algorithms.policy_gradient.ppo_loss import policy_loss
from rl.algorithms.policy_gradient.shared import shared_policy_and_value
from rl.algorithms.policy_gradient.steps import gradient_step
from rl.config import with_rates
from rl.experience import trees
from rl.experience.environments import EnvLike
from rl.experience.normalize import RewardScaler
from rl.experience.rollout import Rollout
from rl.experience.samples import Samples, samples_of, with_reflections
from rl.experience.symmetry import known_mirror
from rl.loops import on_policy
from rl.losses.checks import check_finite
from rl.losses.surrogate import value_loss
from rl.names import explained
from rl.networks.branches import Distribution
from rl.networks.parallel import independently
from rl.state import Part, snapshot, spawn_rngs
from rl.takes import STOCHASTIC_POLICY


class PPO(Agent):
    """A PPO agent: `PPO(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for μ(s), or for the logits of choices: observations (B, …) -> (B, A).
    value : Module, optional
        One for V(s): (B, …) -> (B, 1). See rl/networks/own.py.

    Examples
    --------
    >>> PPO("Pendulum-v1", PPOConfig(num_envs=8, steps=256), seed=0).learn(200_000)
    """

    Config = PPOConfig
    takes = STOCHASTIC_POLICY
    iterate, act = on_policy.iterate, on_policy.act
    own_networks = ("policy", "value")

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: PPOConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
        value: Module | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy, "value": value})

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "policy", "value", "environment")
        make = shared_policy_and_value if c.shared else policy_and_value
        self.policy, self.value = make(space, c, self.networks, self.rngs["weights"])
        self.recall = recall_of(self.config, self.policy, self.value)
        self.policy_optimizer = Adam(self.policy.flat, c.lr, eps=c.adam_eps)
        self.value_optimizer = None if c.shared else Adam(self.value.flat, c.value_rate, eps=c.adam_eps)
        self.kl_coefficient = AdaptiveCoefficient(c.kl_coef) if c.penalty == "kl-adaptive" else None
        self.scaler = RewardScaler(c.gamma) if c.scale_rewards else None
        self.mirror = known_mirror(space.mirror, space.observation.beside) if c.mirror else None

    def parts(self) -> dict[str, Part]:
        names = "policy", "value", "policy_optimizer", "value_optimizer", "recall", "scaler", "kl_coefficient"
        parts = {name: getattr(self, name) for name in names if not (self.config.shared and name == "value")}
        return {name: part for name, part in parts.items() if part is not None}

    def learn_scale(self, observations) -> None:
        """Let the normaliser take in observations (N, …), and their reflections where these are learned from."""
        if self.normalizer:
            vectors = trees.vector(observations)
            self.normalizer.update(np.concatenate([vectors, self.mirror.observations(vectors)]) if self.mirror else vectors)

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Algorithm 12, lines 21–67, on one rollout; `progress` in [0, 1] of the training drives the annealing."""
        c = self.settings_at(progress)
        samples = samples_of(rollout, lambda s: self.value.predict(s)[:, 0], c.gamma, c.lam, c.gae_horizon)
        if self.mirror:
            samples = with_reflections(samples, self.mirror)
        old = self.policy.predict(samples.observations)
        self.policy_optimizer.lr = c.lr
        fits = [lambda: self.fit_policy(samples, old, c)]
        if self.value_optimizer is not None:
            self.value_optimizer.lr = c.value_rate
            fits.append(lambda: self.fit_value(samples, c))
        metrics = {name: x for fit in independently(*fits) for name, x in fit.items()}
        if self.kl_coefficient is not None:
            kl = float(old.kl(self.policy.predict(samples.observations)).mean())
            self.kl_coefficient.adapt(kl, c.kl_target)
            metrics |= {"kl": kl, "kl_coef": c.kl_coef}
        return {**metrics, "explained_variance": samples.explained_variance(), "lr": c.lr}

    def settings_at(self, progress: float) -> Any:
        """The settings of this moment: numbers in the place of schedules, annealed ones and the adaptive β_KL."""
        adapted = {"kl_coef": self.kl_coefficient.value} if self.kl_coefficient is not None else {}
        return with_rates(self.at(progress), self.config.annealed(progress) | adapted)

    def fit_policy(self, samples: Samples, old: Distribution, c: Any) -> dict[str, float]:
        """The policy's epochs, with the settings of this moment."""
        optimizer, attempt = self.policy_optimizer, self.guard.attempt
        columns: tuple = samples.observations, samples.actions, samples.advantages, old.log_prob(samples.actions)
        columns += (samples.values, samples.targets) if c.shared else ()
        step: Callable[..., tuple] = self.shared_step if c.shared else self.policy_step
        log, kl, entropy = [], 0.0, 0.0
        for epochs in range(1, c.epochs + 1):
            before = (snapshot(self.policy), snapshot(optimizer)) if c.rollback else None
            shuffled = samples.shuffle(c.batch_size, self.rngs["policy"])
            fused = policy_epoch(self, columns, old, shuffled, c)
            if fused is None:
                olds = [old.take(rows) if c.kl_weight else None for rows in shuffled.rows]
                batches = zip(shuffled.minibatches(columns), olds, strict=True)
                fused = [attempt(step, *batch, old_rows, c) for batch, old_rows in batches]
            log += [entry for entry in fused if entry is not None]
            if c.target_kl is not None or epochs == c.epochs:
                # The algorithm's line 63: of the two distributions, on the epoch's last minibatch.
                rows = shuffled.last
                new = self.policy.predict(shuffled.last_of(samples.observations))
                kl, entropy = float(old.take(rows).kl(new).mean()), float(new.entropy().mean())
            if c.target_kl is not None and kl > c.target_kl:
                # The value goes on: its targets do not depend on the policy (line 64 halts both).
                if before is not None:
                    self.policy.load_state_dict(before[0])
                    optimizer.load_state_dict(before[1])
                break
        names = "policy_loss", "approx_kl", "clip_fraction", "value_loss"  # the last one where a step is of both
        means = zip(names, np.mean(log, axis=0).tolist(), strict=False) if log else ()
        return {**dict(means), "kl": kl, "entropy": entropy, "epochs": epochs}

    def policy_step(self, observations, actions, advantages, old_log_prob, old, c) -> tuple[float, float, float]:
        """One step of the policy on a minibatch; returns loss, estimated KL and the share of clipped ratios."""
        distribution = self.policy.forward(observations)
        log, gradient = policy_loss(distribution, actions, advantages, old_log_prob, old, c)
        gradient_step("policy", self.policy, self.policy_optimizer, gradient, c.max_grad_norm)
        return log

    def shared_step(self, observations, actions, advantages, old_log_prob, old_values, targets, old, c) -> tuple[float, ...]:
        """One step of both on L_π + c_v L_V; returns what `policy_step` does, and the value's loss."""
        distribution, values = self.policy.forward(observations)
        log, gradient = policy_loss(distribution, actions, advantages, old_log_prob, old, c)
        loss, dvalues = value_loss(values[:, 0], old_values, targets, c.value_clip)
        check_finite("value loss", loss)
        both = gradient, c.value_coef * dvalues[:, None]
        gradient_step("policy", self.policy, self.policy_optimizer, both, c.max_grad_norm)
        return *log, loss

    def fit_value(self, samples: Samples, c: Any) -> dict[str, float]:
        """The value's epochs, with the settings of this moment."""
        return value_epochs(self, samples, c, self.value_step, value_epoch)

    def value_step(self, observations, old_values, targets, c) -> float:
        """One step of the value on a minibatch; returns the loss."""
        values = self.value.forward(observations)[:, 0]
        loss, dvalues = value_loss(values, old_values, targets, c.value_clip)
        check_finite("value loss", loss)
        gradient_step("value", self.value, self.value_optimizer, c.value_coef * dvalues[:, None], c.max_grad_norm)
        return loss
