"""Densities, entropies and divergences as textbooks write them, for real and complex arguments.

Shapes: B rows, A action dimensions, C choices, after any leading axes.
"""

import numpy as np

from tests.rl.references.networks import clip


class Gaussian:
    """N(μ_j, σ_j²) for each action dimension: mean (…, B, A), sigma (…, A) or (…, B, A) as it broadcasts."""

    def __init__(self, mean, sigma):
        self.mean, self.sigma = mean, sigma

    def log_prob(self, actions):
        density = -((actions - self.mean) ** 2) / (2 * self.sigma**2) - np.log(self.sigma) - np.log(2 * np.pi) / 2
        return density.sum(axis=-1)

    def entropy(self):
        per_dimension = np.log(self.sigma) + np.log(2 * np.pi * np.e) / 2 + 0 * self.mean
        return per_dimension.sum(axis=-1)

    def divergence(self, other):
        """KL(self‖other)."""
        gap = self.sigma**2 + (self.mean - other.mean) ** 2
        return (np.log(other.sigma / self.sigma) + gap / (2 * other.sigma**2) - 1 / 2).sum(axis=-1)

    def take(self, rows):
        return Gaussian(self.mean[rows], np.broadcast_to(self.sigma, self.mean.shape)[rows])


class Choice:
    """softmax(z) over C choices: logits (…, B, C)."""

    def __init__(self, logits):
        weights = np.exp(logits)
        self.p = weights / weights.sum(axis=-1, keepdims=True)

    def log_prob(self, actions):
        index = np.broadcast_to(actions[:, None], (*self.p.shape[:-1], 1))
        return np.log(np.take_along_axis(self.p, index, axis=-1)[..., 0])

    def entropy(self):
        return -(self.p * np.log(self.p)).sum(axis=-1)

    def divergence(self, other):
        """KL(self‖other)."""
        return (self.p * np.log(self.p / other.p)).sum(axis=-1)

    def take(self, rows):
        part = Choice.__new__(Choice)
        part.p = self.p[rows]
        return part


def squashed(mean, log_sigma, noise):
    """a = tanh u, u = μ + σξ, with σ = exp(clip(ln σ, −20, 2)): a, and ln π(a) = ln N(u; μ, σ²) − Σ ln(1 − tanh² u)."""
    log_sigma = clip(log_sigma, -20, 2)
    u = mean + np.exp(log_sigma) * noise
    log_normal = -(noise**2) / 2 - log_sigma - np.log(2 * np.pi) / 2
    return np.tanh(u), (log_normal + 2 * np.log(np.cosh(u))).sum(axis=-1)  # 1 − tanh² = 1/cosh²
