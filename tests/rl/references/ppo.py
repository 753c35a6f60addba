"""One update of PPO (Schulman et al. 2017, Algorithm 1; Algorithm 12 of the thesis with its errata).

Shapes: T steps, N environments, B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass, field
from itertools import islice, pairwise

import numpy as np

from tests.rl.references.distributions import Choice, Gaussian
from tests.rl.references.networks import ACTIVATIONS, Adam, clip, gradient, larger, mlp, shorten, smaller
from tests.rl.references.off_policy import part


@dataclass
class Trajectories:
    """T steps of N environments, as `(t, n)` arrays; `final` holds the observations that a reset replaced, by (t, n)."""

    observations: np.ndarray  # (T, N, O)
    actions: np.ndarray  # (T, N, A) or (T, N)
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray  # False: the environment was between episodes, the step never happened
    last: np.ndarray  # (N, O)
    final: dict = field(default_factory=dict)

    def following(self, t: int, n: int) -> np.ndarray:
        """What was seen after a step, in its episode: (O,)."""
        after = self.last[n] if t + 1 == len(self.rewards) else self.observations[t + 1, n]
        return self.final.get((t, n), after)


@dataclass
class Settings:
    gamma: float = 0.99
    lam: float = 0.95
    horizon: int | None = None
    epochs: int = 10
    batch_size: int = 64
    penalty: str = "clip"
    clip: float = 0.2
    kl_coef: float = 1.0  # at the start, where it adapts
    kl_target: float = 0.01
    value_clip: float | None = None
    entropy_coef: float = 0.0
    value_coef: float = 0.5
    max_grad_norm: float = 0.5
    lr: float = 3e-4
    adam_eps: float = 1e-5
    anneal_lr: bool = True
    anneal_clip: bool = False
    anneal_entropy: bool = False
    target_kl: float | None = None
    rollback: bool = False
    normalize_advantages: bool = True
    shared: bool = False
    activation: str = "tanh"
    sigma: str = "vector"
    initial_sigma: float = 1.0
    discrete: bool = False
    mirror: tuple | None = None  # index and sign of observations, index and sign of actions


def distribution_of(c, policy: dict, s):
    """π(·|s) of named arrays, as the settings want it."""
    if c.discrete:
        return Choice(mlp(part(policy, "logits"), s, c.activation))
    mean = mlp(part(policy, "mean"), s, c.activation)
    if c.sigma == "vector":
        return Gaussian(mean, np.exp(policy["log_sigma"])[..., None, :])
    if c.sigma == "fixed":
        return Gaussian(mean, np.full(mean.shape[-1], c.initial_sigma))
    return Gaussian(mean, np.log(1 + np.exp(mlp(part(policy, "sigma.0"), s, c.activation))))  # softplus


class PPO:
    """`policy` holds "mean.…" with "log_sigma" or "sigma.0.…", or "logits.…"; `value` a network's layers.

    With a shared trunk `policy` holds everything: "trunk.…", all of that as "policy.…", and "value.…".
    """

    def __init__(self, settings: Settings, policy: dict, value: dict):
        self.settings, self.policy, self.value = settings, policy, value
        self.policy_adam = Adam(policy, settings.lr, settings.adam_eps)
        self.value_adam = Adam(value, settings.lr, settings.adam_eps)
        self.kl_coef = settings.kl_coef if settings.penalty.startswith("kl") else 0.0

    def features(self, policy, s):
        return ACTIVATIONS[self.settings.activation](mlp(part(policy, "trunk.0"), s, self.settings.activation))

    def distribution(self, policy, s):
        if self.settings.shared:
            policy, s = part(policy, "policy"), self.features(policy, s)
        return distribution_of(self.settings, policy, s)

    def state_value(self, s, value=None):
        if self.settings.shared:
            policy = value or self.policy
            return mlp(part(policy, "value"), self.features(policy, s), self.settings.activation)[..., 0]
        return mlp(value or self.value, s, self.settings.activation)[..., 0]

    def update(self, data: Trajectories, progress: float, policy_orders, value_orders) -> dict:
        """`policy_orders` and `value_orders` yield a shuffled order of the B rows for each epoch."""
        c = self.settings
        values, advantages = self.advantages(data)
        columns = data.observations, data.actions, advantages, values, advantages + values
        s, a, advantages, values, targets = (x[data.valid] for x in columns)
        if c.mirror is not None:
            s_index, s_sign, a_index, a_sign = c.mirror
            s, a = np.concatenate([s, s_sign * s[:, s_index]]), np.concatenate([a, a_sign * a[:, a_index]])
            advantages, values, targets = (np.concatenate([x, x]) for x in (advantages, values, targets))
        left = 1 - progress
        self.policy_adam.lr = self.value_adam.lr = c.lr * left if c.anneal_lr else c.lr
        metrics = self.fit_policy(s, a, advantages, values, targets, left, policy_orders)
        if c.shared:
            return metrics
        for order in islice(value_orders, c.epochs):
            for rows in self.minibatches(order):
                self.fit_value(s[rows], values[rows], targets[rows])
        return metrics

    def advantages(self, data: Trajectories):
        """V(s_t), and A_t = Σ_{l<h} (γλ)^l δ_{t+l} up to the episode's end."""
        c, (steps, copies) = self.settings, data.rewards.shape
        values, following = self.values(data)
        deltas = data.rewards + c.gamma * np.where(data.terminated, 0.0, following) - values
        ended = data.terminated | data.truncated | ~data.valid
        advantages = np.zeros_like(deltas)
        for t in range(steps):
            for n in range(copies):
                for k in range(t, steps if c.horizon is None else min(steps, t + c.horizon)):
                    advantages[t, n] += (c.gamma * c.lam) ** (k - t) * deltas[k, n]
                    if ended[k, n]:
                        break
        return values, advantages

    def values(self, data: Trajectories):
        """V(s_t), and V of what followed in the same episode: (T, N) each."""
        values = self.state_value(data.observations)
        following = np.concatenate([values[1:], self.state_value(data.last)[None]])
        for place, observation in data.final.items():
            following[place] = self.state_value(observation[None])[0]
        return values, following

    def minibatches(self, order):
        """The order, cut into parts whose sizes differ by one at most."""
        parts = max(1, round(len(order) / self.settings.batch_size))
        cuts = [k * len(order) // parts for k in range(parts + 1)]
        return [order[start:stop] for start, stop in pairwise(cuts)]

    def fit_policy(self, s, a, advantages, values, targets, left, orders) -> dict:
        c, policy = self.settings, self.policy
        old = self.distribution(policy, s)
        old_log_prob = old.log_prob(a)
        epsilon = np.inf if c.penalty != "clip" else c.clip * left if c.anneal_clip else c.clip
        beta = c.entropy_coef * left if c.anneal_entropy else c.entropy_coef
        epochs = 0
        for order in islice(orders, c.epochs):
            epochs += 1
            before = {name: p.copy() for name, p in policy.items()}
            adam = {n: m.copy() for n, m in self.policy_adam.m.items()}, {n: v.copy() for n, v in self.policy_adam.v.items()}
            t = self.policy_adam.t
            for rows in self.minibatches(order):
                advantage = advantages[rows]
                if c.normalize_advantages:
                    deviation = np.sqrt(((advantage - advantage.mean()) ** 2).mean())
                    advantage = (advantage - advantage.mean()) / (deviation + 1e-8)

                def loss(p, rows=rows, advantage=advantage):
                    new = self.distribution(p, s[rows])
                    ratio = np.exp(new.log_prob(a[rows]) - old_log_prob[rows])
                    surrogate = smaller(ratio * advantage, clip(ratio, 1 - epsilon, 1 + epsilon) * advantage)
                    penalty = self.kl_coef * old.take(rows).divergence(new)
                    policy_loss = -(surrogate + beta * new.entropy() - penalty).sum(axis=-1) / len(rows)
                    return policy_loss + self.value_loss(p, s[rows], values[rows], targets[rows]) if c.shared else policy_loss

                self.policy_adam.step(shorten(gradient(loss, policy), c.max_grad_norm))
            divergence = old.take(rows).divergence(self.distribution(policy, s[rows])).mean()
            if c.target_kl is not None and divergence > c.target_kl:
                if c.rollback:
                    for name, p in before.items():
                        policy[name][...] = p
                    self.policy_adam.m, self.policy_adam.v = adam
                    self.policy_adam.t = t
                break
        if c.penalty == "kl-adaptive":
            divergence = old.divergence(self.distribution(policy, s)).mean()
            factor = 0.5 if divergence < c.kl_target / 1.5 else 2.0 if divergence > 1.5 * c.kl_target else 1.0
            self.kl_coef *= factor
        return {"kl": float(divergence), "epochs": epochs}

    def value_loss(self, value, s, old, targets):
        """v_coef·(1/B) Σ (V − R)², or the larger of it and the error of V held near V_old."""
        c, v = self.settings, self.state_value(s, value)
        error = (v - targets) ** 2
        if c.value_clip is not None:
            error = larger(error, (old + clip(v - old, -c.value_clip, c.value_clip) - targets) ** 2)
        return c.value_coef * error.sum(axis=-1) / len(s)

    def fit_value(self, s, old, targets):
        losses = gradient(lambda value: self.value_loss(value, s, old, targets), self.value)
        self.value_adam.step(shorten(losses, self.settings.max_grad_norm))
