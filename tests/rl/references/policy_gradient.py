"""One update of REINFORCE (Williams 1992), A2C (Mnih et al. 2016) and of the off-policy policy gradient, from their pseudocode.

Shapes: T steps, N environments, B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from tests.rl.references.networks import Adam, gradient, mlp, shorten
from tests.rl.references.ppo import Trajectories, distribution_of


@dataclass
class Settings:
    gamma: float = 0.99
    lam: float = 0.95
    n_step: int = 5
    estimator: str = "gae"
    returns: str = "to-go"
    baseline: str = "value"
    fragments: str = "bootstrap"
    discount_steps: bool = False
    normalize_advantages: bool = False
    entropy_coef: float = 0.0
    value_coef: float = 1.0
    max_grad_norm: float = 0.5
    reuse: int = 0
    weights: str = "step"
    truncation: float = np.inf
    self_normalize: bool = False
    policy_steps: int = 1
    optimizer: str = "adam"
    optimizer_eps: float = 1e-8
    lr: float = 1e-2
    anneal_lr: bool = True
    epochs: int = 1
    batch_size: int = 64
    activation: str = "tanh"
    sigma: str = "vector"
    initial_sigma: float = 1.0
    discrete: bool = False


class RMSprop:
    """Hinton's lecture 6e, on named arrays that are changed in place."""

    def __init__(self, parameters: dict, lr: float, eps: float):
        self.parameters, self.lr, self.eps, self.rho = parameters, lr, eps, 0.99
        self.v = {name: np.zeros_like(p) for name, p in parameters.items()}

    def step(self, gradients: dict) -> None:
        for name, g in gradients.items():
            self.v[name] = self.rho * self.v[name] + (1 - self.rho) * g**2
            self.parameters[name] -= self.lr * g / (np.sqrt(self.v[name]) + self.eps)


class PolicyGradient:
    """`policy` and `value` are named arrays; `policy_adam` and `value_adam` whatever takes the steps."""

    def __init__(self, settings: Settings, policy: dict, value: dict):
        self.settings, self.policy, self.value = settings, policy, value
        make = Adam if settings.optimizer == "adam" else RMSprop
        self.policy_adam, self.value_adam = (make(p, settings.lr, settings.optimizer_eps) for p in (policy, value))
        self.ages: list[int] = []  # of each environment's next step in its episode
        self.paid: list[float] = []

    def state_value(self, s, value=None):
        return mlp(value or self.value, s, self.settings.activation)[..., 0]

    def after(self, data: Trajectories, t: int, n: int) -> float:
        """V of the observation that followed (t, n) in its episode; 0 after the end."""
        if data.terminated[t, n]:
            return 0.0
        last = data.last[n] if t + 1 == len(data.rewards) else data.observations[t + 1, n]
        return float(self.state_value(data.final.get((t, n), last)[None])[0])

    def to_go(self, data: Trajectories, t: int, n: int, limit: int | None = None) -> float:
        """r_t + γ r_{t+1} + …, of `limit` rewards at most, then V."""
        g, ended = 0.0, data.terminated | data.truncated | ~data.valid
        last = len(data.rewards) if limit is None else min(len(data.rewards), t + limit)
        for k in range(t, last):
            g += self.settings.gamma ** (k - t) * data.rewards[k, n]
            if ended[k, n] or k + 1 == last:
                return g + self.settings.gamma ** (k - t + 1) * self.after(data, k, n)
        raise AssertionError("no steps")

    def policy_step(self, s, a, psi):
        c = self.settings

        def loss(policy):
            pi = distribution_of(c, policy, s)
            return -(psi * pi.log_prob(a) + c.entropy_coef * pi.entropy()).sum(axis=-1) / len(s)

        self.policy_adam.step(shorten(gradient(loss, self.policy), c.max_grad_norm))

    def value_step(self, s, targets):
        c = self.settings

        def loss(value):
            return c.value_coef * ((self.state_value(s, value) - targets) ** 2).sum(axis=-1) / len(s)

        self.value_adam.step(shorten(gradient(loss, self.value), c.max_grad_norm))

    def anneal(self, progress: float) -> None:
        c = self.settings
        self.policy_adam.lr = self.value_adam.lr = c.lr * (1 - progress) if c.anneal_lr else c.lr

    def value_epochs(self, s, targets, orders):
        parts = max(1, round(len(s) / self.settings.batch_size))
        for order in islice(orders, self.settings.epochs):
            for start, stop in pairwise([k * len(s) // parts for k in range(parts + 1)]):
                self.value_step(s[order[start:stop]], targets[order[start:stop]])

    def generalized_advantage(self, data: Trajectories, t: int, n: int) -> float:
        c, total, ended = self.settings, 0.0, data.terminated | data.truncated | ~data.valid
        for k in range(t, len(data.rewards)):
            v_k = float(self.state_value(data.observations[k, n][None])[0])
            total += (c.gamma * c.lam) ** (k - t) * (data.rewards[k, n] + c.gamma * self.after(data, k, n) - v_k)
            if ended[k, n]:
                break
        return total


class A2C(PolicyGradient):
    def update(self, data: Trajectories, progress: float, _policy_orders, _value_orders) -> dict:
        c = self.settings
        self.anneal(progress)
        places = [(t, n) for t, n in np.ndindex(*data.rewards.shape) if data.valid[t, n]]
        s, a = data.observations[data.valid], data.actions[data.valid]
        values = self.state_value(s)
        advantages = np.array([self.advantage(data, t, n) for t, n in places])
        self.value_step(s, advantages + values)
        if c.normalize_advantages:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        self.policy_step(s, a, advantages)
        return {}

    def advantage(self, data: Trajectories, t: int, n: int) -> float:
        c, v = self.settings, float(self.state_value(data.observations[t, n][None])[0])
        if c.estimator == "gae":
            return self.generalized_advantage(data, t, n)
        return self.to_go(data, t, n, {"mc": None, "td": 1, "n-step": c.n_step}[c.estimator]) - v


class REINFORCE(PolicyGradient):
    def update(self, data: Trajectories, progress: float, _policy_orders, value_orders) -> dict:
        c = self.settings
        self.anneal(progress)
        rows = []
        for t, n in np.ndindex(*data.rewards.shape):
            age, paid = self.tick(data, t, n)
            g = self.to_go(data, t, n) if data.valid[t, n] else 0.0
            psi = g if c.returns == "to-go" else paid + c.gamma**age * g
            whole = (data.terminated | data.truncated | ~data.valid)[t:, n].any()
            if data.valid[t, n] and (c.fragments == "bootstrap" or whole):
                rows.append((data.observations[t, n], data.actions[t, n], g, psi, age))
        s, a, to_go, psi, ages = map(np.array, zip(*rows, strict=True))
        psi = (psi - self.baseline(s, a, psi, ages)) * (c.gamma**ages if c.discount_steps else 1)
        if c.normalize_advantages:
            psi = (psi - psi.mean()) / (psi.std() + 1e-8)
        self.policy_step(s, a, psi)
        self.value_epochs(s, to_go, value_orders)
        return {}

    def tick(self, data: Trajectories, t: int, n: int) -> tuple[int, float]:
        """How many steps the episode of (t, n) had before, and what they paid."""
        if not self.ages:
            self.ages, self.paid = [0] * data.rewards.shape[1], [0.0] * data.rewards.shape[1]
        age, paid = self.ages[n], self.paid[n]
        self.ages[n], self.paid[n] = age + 1, paid + self.settings.gamma**age * data.rewards[t, n]
        if data.terminated[t, n] or data.truncated[t, n] or not data.valid[t, n]:
            self.ages[n], self.paid[n] = 0, 0.0
        return age, paid

    def baseline(self, s, a, psi, ages):
        c = self.settings
        if c.baseline == "value":
            return self.state_value(s) * (c.gamma**ages if c.returns == "total" else 1)
        if c.baseline == "time":
            return np.array([psi[ages == age].mean() for age in ages])
        if c.baseline == "minimum-variance":
            squares = []
            for i in range(len(s)):

                def log_prob(policy, i=i):
                    return distribution_of(c, policy, s[i : i + 1]).log_prob(a[i : i + 1])[..., 0]

                squares.append(sum((g**2).sum() for g in gradient(log_prob, self.policy).values()))
            return np.dot(squares, psi) / np.sum(squares)
        return {"mean": psi.mean(), "none": 0.0}[c.baseline]


class OffPolicyPG(PolicyGradient):
    """Remembers (data, b(a|s) of each step) of the last K rollouts."""

    def __init__(self, settings: Settings, policy: dict, value: dict):
        super().__init__(settings, policy, value)
        self.past: list[tuple[Trajectories, np.ndarray]] = []

    def probability(self, data: Trajectories) -> np.ndarray:
        """π(a|s) of each step (T, N)."""
        flat = (x.reshape(-1, *x.shape[2:]) for x in (data.observations, data.actions))
        s, a = flat
        return np.exp(distribution_of(self.settings, self.policy, s).log_prob(a)).reshape(data.rewards.shape)

    def update(self, data: Trajectories, progress: float, _policy_orders, value_orders) -> dict:
        c = self.settings
        self.anneal(progress)
        self.past.append((data, self.probability(data)))
        s = np.concatenate([old.observations[old.valid] for old, _ in self.past])
        a = np.concatenate([old.actions[old.valid] for old, _ in self.past])
        each = [np.array([self.generalized_advantage(old, t, n) for t, n in np.argwhere(old.valid)]) for old, _ in self.past]
        newest = data.observations[data.valid]
        targets = each[-1] + self.state_value(newest)
        if c.normalize_advantages:
            each = [(x - x.mean()) / (x.std() + 1e-8) for x in each]
        advantages = np.concatenate(each)
        for _ in range(c.policy_steps):
            w = np.array([self.weight(*past, t, n) for past in self.past for t, n in np.argwhere(past[0].valid)])
            w = np.minimum(w, c.truncation)
            self.policy_step(s, a, advantages * (w / w.mean() if c.self_normalize else w))
        self.past = self.past[len(self.past) - min(c.reuse, len(self.past)) :]
        self.value_epochs(newest, targets, value_orders)
        return {}

    def weight(self, data: Trajectories, b: np.ndarray, t: int, n: int) -> float:
        """Π ρ over what the settings name, in the part of the episode that the rollout has."""
        ratios, kind = np.where(data.valid, self.probability(data) / b, 1)[:, n], self.settings.weights
        ended = np.flatnonzero((data.terminated | data.truncated | ~data.valid)[:, n])
        before, behind = ended[ended < t], ended[ended >= t]
        first = before[-1] + 1 if len(before) else 0
        last = behind[0] if len(behind) else len(ratios) - 1
        return {"step": ratios[t], "decision": ratios[first : t + 1].prod(), "trajectory": ratios[first : last + 1].prod()}[kind]
