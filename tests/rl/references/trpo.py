"""One update of TRPO (Schulman et al. 2015, Appendix C) and of the natural policy gradients, with an explicit Fisher matrix.

F is taken from its definition, (1/B) Σ_b E_a[∇ln π ∇ln πᵀ]: gradients by the complex step, the expectation over all choices or
over the nodes of a Gauss–Hermite quadrature, which is exact for scores, whose squares are polynomials of degree 4.

Shapes: B rows, P parameters of the policy.
"""

import itertools
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tests.rl.references import ppo
from tests.rl.references.networks import STEP, Adam, gradient, split

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)


@dataclass
class Settings(ppo.Settings):
    method: str = "trpo"
    lam: float = 0.97
    max_kl: float = 0.01
    step_size: float | None = None
    cg_steps: int = 10
    cg_tolerance: float = 1e-10
    damping: float = 0.1
    sub_sampling: int = 1
    shrink: float = 0.8
    backtracks: int = 10
    value_coef: float = 1.0
    max_grad_norm: float = np.inf
    lr: float = 1e-3
    adam_eps: float = 1e-8
    policy_steps: int = 10
    policy_lr: float = 1e-3
    multiplier: float = 1.0
    multiplier_lr: float = 10.0


class TRPO(ppo.PPO):
    """Distributions, advantages and the value's steps are PPO's."""

    def __init__(self, settings: Settings, policy: dict, value: dict):
        super().__init__(settings, policy, value)
        self.multiplier = settings.multiplier

    def update(self, data: ppo.Trajectories, progress: float, permutations, value_orders) -> dict:
        """`permutations` yields an order of the B rows, of which the last part are F's, where it is not taken over all."""
        values, advantages = self.advantages(data)
        columns = data.observations, data.actions, advantages, values, advantages + values
        s, a, advantages, values, targets = (x[data.valid] for x in columns)
        if self.settings.normalize_advantages:
            deviation = np.sqrt(((advantages - advantages.mean()) ** 2).mean())
            advantages = (advantages - advantages.mean()) / (deviation + 1e-8)
        metrics = self.move(s, a, advantages, permutations)
        for order in islice(value_orders, self.settings.epochs):
            for rows in self.minibatches(order):
                self.fit_value(s[rows], values[rows], targets[rows])
        return metrics

    def move(self, s, a, advantages, permutations) -> dict:
        c, theta = self.settings, flat(self.policy)
        old = self.distribution(self.policy, s)

        def outcome(policy):
            new = self.distribution(policy, s)
            ratio = np.exp(new.log_prob(a) - old.log_prob(a))
            return (ratio * advantages).sum(axis=-1) / len(s), old.divergence(new).sum(axis=-1) / len(s)

        if c.method == "dual":
            step = self.ascent(outcome, theta)
        else:
            g = flat(gradient(lambda policy: outcome(policy)[0], self.policy))
            parts = 1 if c.sub_sampling == 1 else round(len(s) / (len(s) // c.sub_sampling))
            rows = s if parts == 1 else s[next(permutations)[(parts - 1) * len(s) // parts :]]
            matrix = self.fisher(rows) + c.damping * np.eye(len(g))
            x = conjugate_gradient(matrix, g, len(g) if c.method == "npg" else c.cg_steps, c.cg_tolerance)
            step = (np.sqrt(2 * c.max_kl / (x @ matrix @ x)) if c.step_size is None or c.method == "trpo" else c.step_size) * x
        for j in range(c.backtracks if c.method in ("trpo", "dual") else 1):
            surrogate, kl = outcome(split(theta + c.shrink**j * step, self.policy))
            if c.method in ("npg", "tnpg") or (kl <= c.max_kl and surrogate > advantages.mean()):
                self.write(theta + c.shrink**j * step)
                return {"kl": float(kl), "step": c.shrink**j, "multiplier": self.multiplier}
        self.write(theta)
        return {"kl": 0.0, "step": 0.0, "multiplier": self.multiplier}

    def ascent(self, outcome, theta) -> np.ndarray:
        c, adam = self.settings, Adam(self.policy, self.settings.policy_lr)
        price = self.multiplier
        for _ in range(c.policy_steps):
            adam.step(gradient(lambda policy: price * outcome(policy)[1] - outcome(policy)[0], self.policy))
        self.multiplier = max(0.0, price + c.multiplier_lr * (float(outcome(self.policy)[1]) - c.max_kl))
        return flat(self.policy) - theta

    def fisher(self, s) -> np.ndarray:
        """(P, P)."""
        theta, now = flat(self.policy), self.distribution(self.policy, s)
        moved = self.distribution(split(theta + 1j * STEP * np.eye(len(theta)), self.policy), s)
        total = np.zeros((len(theta), len(theta)))
        for actions, probability in self.every_action(now):
            scores = moved.log_prob(actions).imag / STEP  # (P, B)
            total += (scores * probability) @ scores.T / len(s)
        return total

    def every_action(self, now):
        """Actions (B, …), and the probability of each row's (B,)."""
        if self.settings.discrete:
            yield from ((np.full(len(now.p), k), now.p[:, k]) for k in range(now.p.shape[1]))
            return
        for places in itertools.product(range(len(NODES)), repeat=now.mean.shape[1]):
            weight = np.prod(WEIGHTS[list(places)] / np.sqrt(2 * np.pi))
            yield now.mean + now.sigma * NODES[list(places)], np.full(len(now.mean), weight)

    def write(self, theta) -> None:
        for name, p in split(theta, self.policy).items():
            self.policy[name][...] = p


def flat(named: dict) -> np.ndarray:
    return np.concatenate([p.ravel() for p in named.values()])


def conjugate_gradient(matrix, b, steps: int, tolerance: float) -> np.ndarray:
    """Hestenes & Stiefel 1952, Section 3."""
    x, r = np.zeros_like(b), b.copy()
    p = r.copy()
    for _ in range(steps):
        if r @ r <= tolerance * (b @ b):
            break
        a = (r @ r) / (p @ matrix @ p)
        x, r, before = x + a * p, r - a * (matrix @ p), r
        p = r + (r @ r) / (before @ before) * p
    return x
