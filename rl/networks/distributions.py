"""Probability distributions over actions, with hand-written derivatives.

`f(…)` gives a value per row; `f_backward(…, df)` takes dL/df (B,) and gives dL/d(parameter) for
each parameter of the distribution, in the order of its fields.

Shapes: B rows, A action dimensions, C choices.
"""

import math
from dataclasses import dataclass

import numpy as np

from deepnp.backend import kernel, kernel_runs

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class DiagonalGaussian:
    """Independent normal distributions N(μ_j, σ_j²).

    ln π(a) = Σ_j −½((a_j − μ_j)/σ_j)² − ln σ_j − ½ ln 2π
        ∂/∂μ_j = (a_j − μ_j)/σ_j²
        ∂/∂σ_j = ((a_j − μ_j)² − σ_j²)/σ_j³
    H       = Σ_j ln σ_j + ½ ln 2πe               ∂H/∂σ_j = 1/σ_j
    KL(p‖q) = Σ_j ln(σ_q/σ_p) + (σ_p² + (μ_p − μ_q)²)/(2σ_q²) − ½

    Attributes
    ----------
    mean : array (B, A)
    sigma : array (A,) or (B, A)
        Positive. Gradients have its shape: summed over rows where it is (A,).
    """

    mean: np.ndarray
    sigma: np.ndarray

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """μ + σ·ξ with ξ ~ N(0, I): (B, A)."""
        return self.mean + self.sigma * rng.standard_normal(self.mean.shape, self.mean.dtype)

    def sample_backward(self, noise: np.ndarray, dactions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dL/da (B, A) of a draw a = μ + σ·ξ -> dmean = da (B, A), dsigma = da·ξ like sigma: the reparametrisation."""
        return dactions, self._like_sigma(dactions * noise)

    def mode(self) -> np.ndarray:
        """The most probable action, μ: (B, A)."""
        return self.mean

    def log_prob(self, actions: np.ndarray) -> np.ndarray:
        """ln π(a): actions (B, A) -> (B,)."""
        if actions.shape == self.mean.shape and kernel_runs(actions, self.mean, self.sigma):
            out = np.empty(len(actions), actions.dtype)
            _log_prob(actions, self.mean, np.atleast_2d(self.sigma), out)
            return out
        z = (actions - self.mean) / self.sigma
        return -0.5 * (z * z).sum(axis=-1) - self._sum(np.log(self.sigma)) - 0.5 * LOG_2PI * self.mean.shape[-1]

    def log_prob_backward(self, actions: np.ndarray, dlog_prob: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dL/dln π(a) (B,) -> dmean (B, A), dsigma like sigma."""
        if actions.shape == self.mean.shape and kernel_runs(actions, self.mean, self.sigma, dlog_prob):
            dmean, dsigma = np.empty_like(self.mean), np.zeros_like(self.sigma)
            _log_prob_backward(actions, self.mean, np.atleast_2d(self.sigma), dlog_prob, dmean, np.atleast_2d(dsigma))
            return dmean, dsigma
        error, w = actions - self.mean, dlog_prob[:, None]
        dsigma = w * (error * error - self.sigma**2) / self.sigma**3
        return w * error / self.sigma**2, self._like_sigma(dsigma)

    def entropy(self) -> np.ndarray:
        """H: (B,)."""
        per_row = self._sum(np.log(self.sigma)) + 0.5 * (1 + LOG_2PI) * self.mean.shape[-1]
        return np.broadcast_to(per_row, len(self.mean)).astype(self.mean.dtype)

    def entropy_backward(self, dentropy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dL/dH (B,) -> dmean = 0 (B, A), dsigma like sigma."""
        dsigma = dentropy.sum() / self.sigma if self.sigma.ndim == 1 else dentropy[:, None] / self.sigma
        return np.zeros_like(self.mean), dsigma

    def kl(self, other: "DiagonalGaussian") -> np.ndarray:
        """KL(self‖other): (B,)."""
        ratio, gap = self.sigma / other.sigma, (self.mean - other.mean) / other.sigma
        return (0.5 * (ratio * ratio + gap * gap - 1) - np.log(ratio)).sum(axis=-1)

    def kl_backward(self, other: "DiagonalGaussian", dkl: np.ndarray) -> tuple[np.ndarray, ...]:
        """dL/dKL (B,) -> dmean, dsigma of self, then dmean, dsigma of other."""
        w, gap, variance = dkl[:, None], self.mean - other.mean, other.sigma**2
        dmean = w * gap / variance
        dsigma = w * (self.sigma / variance - 1 / self.sigma)
        dsigma_other = w * (1 / other.sigma - (self.sigma**2 + gap * gap) / other.sigma**3)
        return dmean, self._like_sigma(dsigma), -dmean, other._like_sigma(dsigma_other)

    def take(self, rows: np.ndarray) -> "DiagonalGaussian":
        """The distribution of some rows."""
        return DiagonalGaussian(self.mean[rows], self.sigma if self.sigma.ndim == 1 else self.sigma[rows])

    def _sum(self, x):
        return x.sum(axis=-1)

    def _like_sigma(self, dsigma):
        return dsigma.sum(axis=0) if self.sigma.ndim == 1 else dsigma


@dataclass(frozen=True)
class Categorical:
    """One of C choices, p = softmax(z) of logits z.

    ln p(a) = z_a − ln Σ e^z                      ∂/∂z_i = 1[i = a] − p_i
    H       = −Σ_i p_i ln p_i                     ∂H/∂z_i = −p_i (ln p_i + H)
    KL(p‖q) = Σ_i p_i (ln p_i − ln q_i)           ∂/∂z_i^p = p_i (ln p_i − ln q_i − KL),  ∂/∂z_i^q = q_i − p_i

    A logit of −∞ excludes a choice: p = 0, and 0·ln 0 is 0. Working with logits keeps division by p
    out of sight.

    Attributes
    ----------
    logits : array (B, C)
    """

    logits: np.ndarray

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Choices (B,) int64, by inverting the cumulative distribution."""
        cumulative = np.exp(self._log_p()).cumsum(axis=-1)
        u = rng.random(len(cumulative), cumulative.dtype)[:, None] * cumulative[:, -1:]
        return np.minimum((cumulative <= u).sum(axis=-1), self.logits.shape[-1] - 1)

    def mode(self) -> np.ndarray:
        """The most probable choices (B,) int64."""
        return self.logits.argmax(axis=-1)

    def log_prob(self, actions: np.ndarray) -> np.ndarray:
        """ln p(a): actions (B,) int -> (B,)."""
        return np.take_along_axis(self._log_p(), actions[:, None], axis=-1)[:, 0]

    def log_prob_backward(self, actions: np.ndarray, dlog_prob: np.ndarray) -> tuple[np.ndarray]:
        """dL/dln p(a) (B,) -> dlogits (B, C)."""
        dlogits = -np.exp(self._log_p()) * dlog_prob[:, None]
        dlogits[np.arange(len(actions)), actions] += dlog_prob
        return (dlogits,)

    def entropy(self) -> np.ndarray:
        """H: (B,)."""
        p, log_p = self._p_and_log_p()
        return -(p * log_p).sum(axis=-1)

    def entropy_backward(self, dentropy: np.ndarray) -> tuple[np.ndarray]:
        """dL/dH (B,) -> dlogits (B, C)."""
        p, log_p = self._p_and_log_p()
        return (-dentropy[:, None] * p * (log_p + self.entropy()[:, None]),)

    def kl(self, other: "Categorical") -> np.ndarray:
        """KL(self‖other): (B,).

        Infinite where the other excludes a choice that this one does not.
        """
        p, gap = self._gap(other)
        return (p * gap).sum(axis=-1)

    def kl_backward(self, other: "Categorical", dkl: np.ndarray) -> tuple[np.ndarray, ...]:
        """dL/dKL (B,) -> dlogits of self, dlogits of other."""
        (p, gap), w = self._gap(other), dkl[:, None]
        return w * p * (gap - self.kl(other)[:, None]), w * (np.exp(other._log_p()) - p)

    def take(self, rows: np.ndarray) -> "Categorical":
        """The distribution of some rows."""
        return Categorical(self.logits[rows])

    def _log_p(self):
        z = self.logits - self.logits.max(axis=-1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))

    def _p_and_log_p(self):
        """p and ln p, the latter 0 where p is: there p·ln p and its gradient are 0, not 0·(−∞)."""
        log_p = self._log_p()
        p = np.exp(log_p)
        return p, np.where(p > 0, log_p, log_p.dtype.type(0))

    def _gap(self, other):
        """p and ln p − ln q, the latter 0 where p is."""
        log_p = self._log_p()
        p = np.exp(log_p)
        return p, np.subtract(log_p, other._log_p(), out=np.zeros_like(p), where=p > 0)


@kernel
def _log_prob(actions, mean, sigma, out):
    kind, per_row = actions.dtype.type, len(sigma) > 1
    normaliser = kind(0)
    for i in range(len(actions)):
        s = i if per_row else 0
        if per_row or i == 0:
            normaliser = kind(0)
            for j in range(actions.shape[1]):
                normaliser += kind(0.9189385332046727) + np.log(sigma[s, j])  # ½ ln 2π + ln σ
        total = kind(0)
        for j in range(actions.shape[1]):
            z = (actions[i, j] - mean[i, j]) / sigma[s, j]
            total += z * z
        out[i] = kind(-0.5) * total - normaliser


@kernel
def _log_prob_backward(actions, mean, sigma, dlog_prob, dmean, dsigma):
    kind, per_row = actions.dtype.type, len(sigma) > 1
    for i in range(len(actions)):
        s = i if per_row else 0
        for j in range(actions.shape[1]):
            inverse = kind(1) / sigma[s, j]
            z = (actions[i, j] - mean[i, j]) * inverse
            w = dlog_prob[i] * inverse
            dmean[i, j] = w * z
            dsigma[s, j] += w * (z * z - kind(1))
