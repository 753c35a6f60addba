"""One update of RWR, REPS and CEM from their pseudocode.

Shapes: T steps, N environments, B rows, O observation, P candidates, D parameters.
"""

from dataclasses import dataclass

import numpy as np

from tests.rl.references.networks import Adam, gradient, shorten
from tests.rl.references.policy_gradient import PolicyGradient, Settings
from tests.rl.references.ppo import Trajectories, distribution_of


@dataclass
class LikelihoodSettings(Settings):
    lam: float = 1.0
    baseline: str = "value"
    updates: int = 50
    epsilon: float = 0.2
    penalty: float = 1e-4


def likelihood_step(c: LikelihoodSettings, policy: dict, adam: Adam, s, a, w) -> None:
    def loss(named):
        return -(w * distribution_of(c, named, s).log_prob(a)).sum(axis=-1) / len(s)

    adam.step(shorten(gradient(loss, policy), c.max_grad_norm))


class RWR(PolicyGradient):
    def update(self, data: Trajectories, _progress: float, _policy_orders, value_orders) -> dict:
        c = self.settings
        s, a = data.observations[data.valid], data.actions[data.valid]
        places = [(t, n) for t, n in np.ndindex(*data.rewards.shape) if data.valid[t, n]]
        returns = np.array([self.to_go(data, t, n) for t, n in places])
        rho = returns - self.state_value(s) if c.baseline == "value" else returns
        rho = (rho - rho.min()) / (rho - rho.min()).mean()
        for _ in range(c.updates):
            likelihood_step(c, self.policy, self.policy_adam, s, a, rho)
        self.value_epochs(s, returns, value_orders)
        return {}


class REPS:
    def __init__(self, settings: LikelihoodSettings, policy: dict):
        self.settings, self.policy, self.policy_adam = settings, policy, Adam(policy, settings.lr)

    def update(self, data: Trajectories, _progress: float, *_orders) -> dict:
        c, (steps, copies) = self.settings, data.rewards.shape
        change = np.zeros((steps, copies, 1 + 2 * data.observations.shape[-1]))
        for t, n in np.ndindex(steps, copies):
            after = data.last[n] if t + 1 == steps else data.observations[t + 1, n]
            after = features(data.final.get((t, n), after)) if not data.terminated[t, n] else 0.0
            change[t, n] = after - features(data.observations[t, n])
        rewards, change = data.rewards[data.valid], change[data.valid]
        scale = rewards.std()
        eta, nu = smallest_dual((rewards - rewards.mean()) / scale, change, c.epsilon, c.penalty)
        delta = (rewards - rewards.mean()) / scale + change @ nu
        w = np.exp((delta - delta.max()) / eta)
        for _ in range(c.updates):
            rows = data.observations[data.valid], data.actions[data.valid], w / w.mean()
            likelihood_step(c, self.policy, self.policy_adam, *rows)
        return {"eta": eta * scale}


def features(s) -> np.ndarray:
    """(1, s, s²)."""
    return np.array([1.0, *s, *(s * s)])


def smallest_dual(rewards, change, epsilon: float, penalty: float) -> tuple[float, np.ndarray]:
    """η and ν by Newton's steps, each halved until the value falls; derivatives by complex and by real steps."""

    def value(x):
        eta, nu = x[0], x[1:]
        return eta * epsilon + eta * np.log(np.exp((rewards + change @ nu) / eta).mean()) + penalty / 2 * (nu * nu).sum()

    def slope(x):
        return np.array([value(x + 1e-30j * e).imag / 1e-30 for e in np.eye(len(x))])

    x = np.array([1.0, *np.zeros(change.shape[1])])
    for _ in range(200):
        g = slope(x)
        if np.abs(g).max() < 1e-11:
            break
        hessian = np.array([(slope(x + 1e-6 * e) - slope(x - 1e-6 * e)) / 2e-6 for e in np.eye(len(x))])
        step = np.linalg.solve(hessian + 1e-12 * np.eye(len(x)), -g)
        length = 1.0
        while length > 1e-12 and not (x[0] + length * step[0] > 0 and value(x + length * step) <= value(x)):
            length /= 2
        x = x + length * step
    return float(x[0]), x[1:]


class CEM:
    """m, v and the number of the generation; `update` takes the noise that candidates were drawn with."""

    def __init__(self, mean, sigma: float, elites: int, extra_sigma: float, extra_generations: int):
        self.m, self.v, self.k = mean.astype(float), np.full(len(mean), sigma**2), 0
        self.elites, self.extra_sigma, self.extra_generations = elites, extra_sigma, extra_generations

    def candidates(self, noise):
        extra = self.extra_sigma**2 * max(0, 1 - self.k / self.extra_generations)
        return [self.m + np.sqrt(self.v + extra) * xi for xi in noise]

    def update(self, candidates, scores) -> None:
        best = sorted(range(len(scores)), key=lambda p: -scores[p])[: self.elites]
        self.m = sum(candidates[p] for p in best) / len(best)
        self.v = sum((candidates[p] - self.m) ** 2 for p in best) / len(best)
        self.k += 1
