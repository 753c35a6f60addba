"""Proximal Policy Optimization (Schulman et al. 2017; Algorithm 12 of the DeepUnity thesis, corrected).

    repeat
        collect T steps in N environments with π_old
        A ← GAE(λ)                         cut at every episode's end, bootstrapped with V where it was truncated
        R ← A + V_old
        for each epoch, for each minibatch
            θ ← Adam descent on  −min(ρA, clip(ρ, 1±ε)A) − β H(π)          ρ = π(a|s)/π_old(a|s)
            ω ← Adam descent on  c_v (V(s) − R)²
        stop the policy's epochs early if KL(π_old‖π) > d_target

The policy and the value share no parameter, so the two descents are independent programs: they run side by side on two
threads where they are large enough, and the result does not depend on the number of threads.

Shapes: T steps, N environments, B = T·N rows (fewer where steps never happened), O observation, A action dimensions.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from deepnp import NonFiniteError
from deepnp.models.mlp import ACTIVATIONS, mlp
from deepnp.optim import Adam, clip_grad_norm, linear
from deepnp.threads import side_by_side
from rl.agent import Agent, spawn_rngs
from rl.config import check_config, setting
from rl.experience.environments import EnvLike
from rl.experience.normalize import RewardScaler
from rl.experience.rollout import Rollout
from rl.experience.symmetry import Mirror
from rl.losses.returns import gae
from rl.losses.surrogate import clipped_surrogate, standardize, value_loss
from rl.networks.policies import CategoricalPolicy, GaussianPolicy, Policy
from rl.state import join, part

SIDE_BY_SIDE_WORK = 4_000_000  # rows × parameters of a minibatch from which two threads are faster than one


@dataclass(frozen=True)
class PPOConfig:
    """Settings of PPO. Each field: its default, its meaning with its symbol in Algorithm 12, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1)
    steps: int = setting(2048, "steps of each environment in one iteration, T", 1)
    epochs: int = setting(10, "passes over the collected data", 1)
    batch_size: int = setting(64, "rows of a minibatch, m", 1)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    lam: float = setting(0.95, "trace decay of GAE, λ", 0, 1)
    horizon: int | None = setting(None, "TD errors in one advantage, h; None: no limit", 1)
    clip: float = setting(0.2, "clip range of the probability ratio, ε", 1e-6)
    value_clip: float | None = setting(None, "clip range of the value's change; None: off", 1e-6)
    entropy_coef: float = setting(0.0, "weight of the entropy bonus, β", 0)
    value_coef: float = setting(0.5, "weight of the value loss, v_coef", 1e-6)
    max_grad_norm: float = setting(0.5, "bound of each network's gradient norm (L2)", 1e-6)
    lr: float = setting(3e-4, "Adam's learning rate, α", 0, 10)
    adam_eps: float = setting(1e-5, "Adam's ε", 0, 1)
    anneal_lr: bool = setting(True, "decay α linearly to 0")
    anneal_clip: bool = setting(False, "decay ε linearly to 0")
    anneal_entropy: bool = setting(False, "decay β linearly to 0")
    target_kl: float | None = setting(None, "KL that ends the policy's epochs, d_target; None: off", 1e-9)
    rollback: bool = setting(False, "undo the epoch that exceeded target_kl")
    normalize_advantages: bool = setting(True, "zero mean, unit variance in each minibatch")
    normalize_observations: bool = setting(True, "running normalisation, clipped at ±10")
    scale_rewards: bool = setting(True, "divide by the running σ of the discounted return")
    mirror: bool = setting(False, "learn from mirror images too, where the environment knows its reflection")
    hidden: tuple[int, ...] = setting((64, 64), "widths of both networks' hidden layers")
    activation: str = setting("tanh", "between the layers", choices=tuple(ACTIVATIONS))
    sigma: str = setting("vector", "kind of σ, see GaussianPolicy", choices=("vector", "fixed", "network"))
    initial_sigma: float = setting(1.0, "σ at the start; actions live in [−1, 1]", 1e-6, 1e3)

    def __post_init__(self):
        check_config(self)


class PPO(Agent):
    """A PPO agent: `PPO(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> agent = PPO("Pendulum-v1", PPOConfig(num_envs=8, steps=256), seed=0)
    >>> agent.learn(200_000)
    >>> agent.save("pendulum.safetensors")
    """

    Config = PPOConfig

    def _build(self):
        space, config = self.space, self.config
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "policy", "value", "environment")
        activation, rng = ACTIVATIONS[config.activation], self.rngs["weights"]
        sizes = (space.observations, *config.hidden)
        self.policy: Policy
        if space.discrete:
            self.policy = CategoricalPolicy((*sizes, space.actions), activation, rng)
        else:
            self.policy = GaussianPolicy((*sizes, space.actions), activation, config.sigma, config.initial_sigma, rng)
        self.value = mlp((*sizes, 1), activation, rng=rng)
        self.policy_optimizer = Adam(self.policy.flat, config.lr, eps=config.adam_eps)
        self.value_optimizer = Adam(self.value.flat, config.lr, eps=config.adam_eps)
        self.scaler: RewardScaler | None = None
        self._scaler_state: dict[str, np.ndarray] = {}

    def set_env(self, env: EnvLike) -> None:
        """Train in this environment from now on; ValueError if it does not fit the agent, or has no mirror() to learn from."""
        super().set_env(env)
        if self.scaler is not None:
            self.scaler.begin(self.env.num_envs)
        self.mirror = Mirror.of(self.env) if self.config.mirror else None

    def act(self, observations, rng):
        distribution = self.policy.predict(observations)
        return distribution.mode() if rng is None else distribution.sample(rng)

    def iterate(self, progress):
        rollout, statistics = self._collect()
        metrics = self.update(rollout, progress) if rollout.alive.any() else {}  # NEXT_STEP: all may be between episodes
        self.iterations += 1
        self.steps += rollout.rewards.size
        return {"steps": self.steps, **statistics.means(), **metrics}

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Algorithm 12, lines 21–67, on one rollout; `progress` in [0, 1] of the training drives the annealing."""
        c = self.config
        values, next_values = rollout.values(lambda x: self.value.predict(x)[:, 0])
        advantages = gae(rollout.rewards, values, next_values, rollout.ended, c.gamma, c.lam, c.horizon)
        columns = rollout.observations, rollout.actions, advantages, values, advantages + values
        observations, actions, advantages, values, targets = (x[rollout.alive] for x in columns)  # (B, …)
        if c.mirror:
            observations = np.concatenate([observations, self.mirror.observations(observations)])
            actions = np.concatenate([actions, self.mirror.actions(actions)])
            advantages, values, targets = (np.concatenate([x, x]) for x in (advantages, values, targets))
        old = self.policy.predict(observations)
        lr = linear(c.lr, 0.0, progress) if c.anneal_lr else c.lr
        clip = linear(c.clip, 0.0, progress) if c.anneal_clip else c.clip
        entropy_coef = linear(c.entropy_coef, 0.0, progress) if c.anneal_entropy else c.entropy_coef
        self.policy_optimizer.lr = self.value_optimizer.lr = lr
        policy_metrics, value_metrics = side_by_side(
            lambda: self._update_policy(observations, actions, advantages, old, clip, entropy_coef),
            lambda: self._update_value(observations, values, targets),
            worthwhile=c.batch_size * len(self.policy.flat) > SIDE_BY_SIDE_WORK,
        )
        variance = float(np.var(targets))
        explained = 1 - float(np.var(targets - values)) / variance if variance > 0 else 0.0
        return {**policy_metrics, **value_metrics, "explained_variance": explained, "lr": lr}

    def _update_policy(self, observations, actions, advantages, old, clip, entropy_coef):
        c, policy, flat, optimizer = self.config, self.policy, self.policy.flat, self.policy_optimizer
        columns = observations, actions, advantages, old.log_prob(actions)
        log, epoch, kl = [], 0, 0.0
        for epoch in range(1, c.epochs + 1):  # noqa: B007  (reported)
            before = (flat.data.copy(), {k: v.copy() for k, v in optimizer.state_dict().items()}) if c.rollback else None
            order, parts = minibatches(columns, c.batch_size, self.rngs["policy"])
            for seen, chosen, advantage, old_log_prob in parts:
                distribution = policy.forward(seen)
                if c.normalize_advantages and len(seen) > 1:
                    advantage = standardize(advantage)
                log_prob = distribution.log_prob(chosen)
                loss, dlog_prob, info = clipped_surrogate(log_prob, old_log_prob, advantage, clip)
                check_finite("policy loss", loss)
                gradient = distribution.log_prob_backward(chosen, dlog_prob)
                if entropy_coef:  # the loss has −β·mean H
                    bonus = distribution.entropy_backward(np.full(len(seen), -entropy_coef / len(seen), np.float32))
                    gradient = tuple(g + b for g, b in zip(gradient, bonus, strict=True))
                flat.zero_grad()
                policy.backward(gradient, inputs=False)
                clip_grad_norm(flat, c.max_grad_norm)
                optimizer.step()
                log.append((loss, info["kl"], info["clip_fraction"]))
            # The algorithm's line 63: of the two distributions, on the epoch's last minibatch.
            kl = float(old.take(order[-len(seen) :]).kl(policy.predict(seen)).mean())
            if c.target_kl is not None and kl > c.target_kl:
                # The value goes on: its targets do not depend on the policy (line 64 halts both).
                if before is not None:
                    flat.data[...] = before[0]
                    optimizer.load_state_dict(before[1])
                break
        loss, approximate_kl, clipped = np.mean(log, axis=0).tolist()
        entropy = float(policy.predict(seen).entropy().mean())
        named = {"policy_loss": loss, "approx_kl": approximate_kl, "kl": kl, "clip_fraction": clipped}
        return {**named, "entropy": entropy, "epochs": epoch}

    def _update_value(self, observations, old_values, targets):
        c, value, flat, optimizer, losses = self.config, self.value, self.value.flat, self.value_optimizer, []
        for _ in range(c.epochs):
            _, parts = minibatches((observations, old_values, targets), c.batch_size, self.rngs["value"])
            for seen, old_value, target in parts:
                v = value.forward(seen)[:, 0]
                loss, dv = value_loss(v, old_value, target, c.value_clip)
                check_finite("value loss", loss)
                flat.zero_grad()
                value.backward(c.value_coef * dv[:, None], inputs=False)
                clip_grad_norm(flat, c.max_grad_norm)
                optimizer.step()
                losses.append(loss)
        return {"value_loss": float(np.mean(losses))}

    def _collect(self):
        c = self.config
        if c.scale_rewards and self.scaler is None:
            self.scaler = RewardScaler(self.env.num_envs, c.gamma)
            if self._scaler_state:
                self.scaler.load_state_dict(self._scaler_state)

        def act(raw):
            if self.normalizer:
                flat = self.space.flatten(raw)
                self.normalizer.update(np.concatenate([flat, self.mirror.observations(flat)]) if c.mirror else flat)
            seen = self.observe(raw)
            actions = self.act(seen, self.rngs["actions"])
            return seen, actions, self.space.to_environment(actions)  # unclipped stored, clipped sent

        scale = self.scaler if self.scaler is not None else lambda rewards, ended, alive: rewards
        return self.collector.collect(c.steps, act, scale, self.observe)

    def state_dict(self):
        optimizers = {"policy_optimizer": self.policy_optimizer, "value_optimizer": self.value_optimizer}
        learned = {"policy": self.policy, "value": self.value, **optimizers}
        scaler = self.scaler.state_dict() if self.scaler else self._scaler_state
        return join({name: thing.state_dict() for name, thing in learned.items()} | {"scaler": scaler})

    def load_state_dict(self, state):
        self.policy.load_state_dict(part(state, "policy"))
        self.value.load_state_dict(part(state, "value"))
        self.policy_optimizer.load_state_dict(part(state, "policy_optimizer"))
        self.value_optimizer.load_state_dict(part(state, "value_optimizer"))
        self._scaler_state, self.scaler = part(state, "scaler"), None


def minibatches(columns: tuple[np.ndarray, ...], batch_size: int, rng: np.random.Generator) -> tuple[np.ndarray, Iterator]:
    """A shuffled order of the rows (B,), and the columns in that order, in parts of about `batch_size` rows.

    The parts' sizes differ by one at most. Shuffled as a whole: one long copy is faster than many short ones.
    """
    order = rng.permutation(len(columns[0]))
    shuffled = [column.take(order, axis=0) for column in columns]
    bounds = np.linspace(0, len(order), max(1, round(len(order) / batch_size)) + 1).astype(int).tolist()
    return order, (tuple(x[start:stop] for x in shuffled) for start, stop in pairwise(bounds))


def check_finite(what: str, value: float) -> None:
    """Raise NonFiniteError, naming what, unless the value is finite."""
    if not math.isfinite(value):
        raise NonFiniteError(f"the {what} is {value}")
