"""One update of DQN, C51, QR-DQN, DiscreteSAC and NAF, from their papers' pseudocode, in loops where that is plainer.

Everything works on dictionaries of named arrays that are changed in place. Shapes: B rows, C choices, Z numbers of a choice.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.rl.references.networks import Adam, follow, gradient, mlp, smaller
from tests.rl.references.off_policy import Data, asymmetric


@dataclass
class Learner:
    """A network and its target; `c` is the Config."""

    c: Any
    network: dict
    target: dict
    steps: int = field(default=0, init=False)

    def __post_init__(self):
        self.adam = Adam(self.network, self.c.lr)

    def y(self, network: dict, s):
        return mlp(network, s, self.c.activation)

    def step(self, loss) -> None:
        self.adam.step(gradient(loss, self.network))
        self.steps += 1
        if self.c.targets == "polyak":
            follow(self.target, self.network, self.c.tau)
        elif self.c.targets == "periodic" and self.steps % self.c.target_interval == 0:
            follow(self.target, self.network, 1.0)


def taken(values, actions):
    """Of values (…, B, C): those of the choices (B,)."""
    return values[..., np.arange(len(actions)), actions]


class DQN(Learner):
    def update(self, data: Data) -> np.ndarray:
        c, target = self.c, self.y(self.target, data.next_observations)
        if c.soft_target:
            best = np.log(np.exp(c.boltzmann * target).sum(axis=1)) / c.boltzmann
        elif c.double:
            best = taken(target, self.y(self.network, data.next_observations).argmax(axis=1))
        else:
            best = target.max(axis=1)
        y = data.rewards + data.discounts * best
        errors = np.abs(taken(self.y(self.network, data.observations), data.actions) - y)

        def loss(network):
            q = taken(self.y(network, data.observations), data.actions)
            return (data.weights * asymmetric(q - y, 0.5, c.error_limit)).sum(axis=-1) / len(y)

        self.step(loss)
        return errors


class C51(Learner):
    def p(self, network, s):
        y = self.y(network, s)
        x = np.exp(y.reshape(*y.shape[:-1], -1, self.c.atoms))
        return x / x.sum(axis=-1, keepdims=True)

    def update(self, data: Data) -> np.ndarray:
        c, z = self.c, np.linspace(self.c.lowest, self.c.highest, self.c.atoms)
        p_next = self.p(self.target, data.next_observations)
        best = ((self.p(self.network, data.next_observations) if c.double else p_next) @ z).argmax(axis=1)
        m, width = np.zeros((len(best), c.atoms)), z[1] - z[0]
        for b, a in enumerate(best):
            for j in range(c.atoms):
                place = (np.clip(data.rewards[b] + data.discounts[b] * z[j], z[0], z[-1]) - z[0]) / width
                for k in range(c.atoms):
                    m[b, k] += p_next[b, a, j] * max(0.0, 1 - abs(place - k))

        def rows(network):
            p = self.p(network, data.observations)[..., np.arange(len(best)), data.actions, :]
            return -(m * np.log(p)).sum(axis=-1)

        errors = rows(self.network)
        self.step(lambda network: (data.weights * rows(network)).sum(axis=-1) / len(best))
        return errors


class QRDQN(Learner):
    def theta(self, network, s):
        y = self.y(network, s)
        return y.reshape(*y.shape[:-1], -1, self.c.quantiles)

    def update(self, data: Data) -> np.ndarray:
        c, theta_next = self.c, self.theta(self.target, data.next_observations)
        chooser = self.theta(self.network, data.next_observations) if c.double else theta_next
        rows = np.arange(len(data.rewards))
        best = theta_next[rows, chooser.mean(axis=-1).argmax(axis=1)]
        y, levels = data.rewards[:, None] + data.discounts[:, None] * best, (np.arange(c.quantiles) + 0.5) / c.quantiles

        def loss(network):
            theta = self.theta(network, data.observations)[..., rows, data.actions, :]
            u = y[:, None] - theta[..., None]  # (…, B, Z, M)
            huber = asymmetric(u, 0.5, c.quantile_limit) / 2
            share = np.abs(levels[:, None] - (u.real < 0)) / c.quantile_limit
            return (data.weights[:, None, None] * share * huber).sum(axis=(-1, -2, -3)) / c.quantiles / len(rows)

        theta = self.theta(self.network, data.observations)[rows, data.actions]
        self.step(loss)
        return np.abs(theta.mean(axis=1) - y.mean(axis=1))


class NAF(Learner):
    def q(self, network, s, a):
        y, count = self.y(network, s), a.shape[1]
        d = a - np.tanh(y[..., 1 : 1 + count])
        total, k = y[..., 0], 1 + count
        u = [0] * count
        for i in range(count):
            for j in range(i + 1):
                u[j] = u[j] + (np.exp(y[..., k]) if i == j else y[..., k]) * d[..., i]
                k += 1
        for part in u:
            total = total - part * part / 2
        return total

    def update(self, data: Data) -> np.ndarray:
        y = data.rewards + data.discounts * self.y(self.target, data.next_observations)[:, 0]
        errors = np.abs(self.q(self.network, data.observations, data.actions) - y)

        def loss(network):
            q = self.q(network, data.observations, data.actions)
            return (data.weights * asymmetric(q - y, 0.5, self.c.error_limit)).sum(axis=-1) / len(y)

        self.adam.step(gradient(loss, self.network))
        follow(self.target, self.network, self.c.tau)
        return errors


class DiscreteSAC:
    """`critics` are pairs of a network and its target."""

    def __init__(self, c: Any, policy: dict, critics: list[tuple[dict, dict]], log_alpha: np.ndarray, target_entropy: float):
        self.c, self.policy, self.critics, self.target_entropy = c, policy, critics, target_entropy
        self.log_alpha = {"log_alpha": log_alpha}
        self.adams = [Adam(parameters, c.lr) for parameters in (policy, *(network for network, _ in critics), self.log_alpha)]

    def log_pi(self, policy, s):
        z = mlp(policy, s, self.c.activation)
        return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))

    def update(self, data: Data) -> np.ndarray:
        c, alpha = self.c, float(np.exp(self.log_alpha["log_alpha"][0])) if self.c.temperature is None else self.c.temperature
        log_pi = self.log_pi(self.policy, data.next_observations)
        target = smaller(*(mlp(target, data.next_observations, c.activation) for _, target in self.critics))
        y = data.rewards + data.discounts * (np.exp(log_pi) * (target - alpha * log_pi)).sum(axis=1)
        errors = np.zeros(len(y))
        for (network, target), adam in zip(self.critics, self.adams[1:3], strict=True):
            errors += np.abs(taken(mlp(network, data.observations, c.activation), data.actions) - y) / 2

            def loss(network):
                q = taken(mlp(network, data.observations, c.activation), data.actions)
                return (data.weights * (q - y) ** 2).sum(axis=-1) / len(y)

            adam.step(gradient(loss, network))
            follow(target, network, c.tau)
        q = smaller(*(mlp(network, data.observations, c.activation) for network, _ in self.critics))
        log_pi = self.log_pi(self.policy, data.observations)
        gap = (np.exp(log_pi) * log_pi).sum() / len(y) + self.target_entropy

        def policy_loss(policy):
            log_pi = self.log_pi(policy, data.observations)
            return (np.exp(log_pi) * (alpha * log_pi - q)).sum(axis=(-1, -2)) / len(y)

        self.adams[0].step(gradient(policy_loss, self.policy))
        if c.temperature is None:
            self.adams[3].step(gradient(lambda p: -p["log_alpha"][..., 0] * gap, self.log_alpha))
        return errors
