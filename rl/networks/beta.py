"""Beta distributions over (−1, 1): no probability beyond the bounds, where a Gaussian's is cut off (Chou, Maturana & Scherer 2017).

`f(…)` and `f_backward(…, df)` as in distributions.py.

Shapes: B rows, A action dimensions.
"""

import math
from dataclasses import dataclass

import numpy as np

from rl.networks.gamma import digamma, ln_gamma, trigamma

EDGE = 1e-6  # draws keep away from 0 and 1 by this, where float32 would round them there and ln x be infinite


@dataclass(frozen=True)
class Beta:
    """Independent x_j ~ Beta(α_j, β_j) on (0, 1), stretched: a = 2x − 1.

    With s = α + β, ln B = ln Γ(α) + ln Γ(β) − ln Γ(s), so ∂ ln B/∂α = ψ(α) − ψ(s):

    ln π(a) = Σ_j (α − 1) ln x + (β − 1) ln(1 − x) − ln B − ln 2            dx/da = ½
        ∂/∂α = ln x − ψ(α) + ψ(s)            ∂/∂β = ln(1 − x) − ψ(β) + ψ(s)
    H       = Σ_j ln B − (α − 1)ψ(α) − (β − 1)ψ(β) + (s − 2)ψ(s) + ln 2     E ln x = ψ(α) − ψ(s)
        ∂/∂α = (s − 2)ψ′(s) − (α − 1)ψ′(α)                                  the terms in ψ cancel; β alike
    KL(p‖q) = Σ_j ln B_q − ln B_p + (α_p − α_q)ψ(α_p) + (β_p − β_q)ψ(β_p) + (s_q − s_p)ψ(s_p)
        ∂/∂α_p = (α_p − α_q)ψ′(α_p) + (s_q − s_p)ψ′(s_p)
        ∂/∂α_q = ψ(α_q) − ψ(s_q) − ψ(α_p) + ψ(s_p)

    Attributes
    ----------
    alpha, beta : arrays (B, A)
        At least 1, so that the density is bounded and has one peak.
    """

    alpha: np.ndarray
    beta: np.ndarray

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Actions (B, A) within (−1, 1)."""
        x = rng.beta(self.alpha.astype(np.float64), self.beta.astype(np.float64))
        return (2 * np.clip(x, EDGE, 1 - EDGE) - 1).astype(self.alpha.dtype)

    def mode(self) -> np.ndarray:
        """The most probable action, x = (α − 1)/(s − 2); 0 where all are alike: (B, A)."""
        a, b = self.alpha - 1, self.beta - 1
        flat = a + b <= 0
        return np.where(flat, a.dtype.type(0), (a - b) / np.where(flat, a.dtype.type(1), a + b))

    def log_prob(self, actions: np.ndarray) -> np.ndarray:
        """ln π(a): actions (B, A) -> (B,)."""
        ln_x, ln_rest = _logarithms(actions)
        each = (self.alpha - 1) * ln_x + (self.beta - 1) * ln_rest - self._ln_b()
        return each.sum(axis=-1) - math.log(2) * self.alpha.shape[-1]

    def log_prob_backward(self, actions: np.ndarray, dlog_prob: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dL/dln π(a) (B,) -> dalpha, dbeta (B, A)."""
        (ln_x, ln_rest), w, (slope, slope_rest) = _logarithms(actions), dlog_prob[:, None], self._mean_logarithms()
        return w * (ln_x - slope), w * (ln_rest - slope_rest)

    def entropy(self) -> np.ndarray:
        """H: (B,)."""
        ln_x, ln_rest = self._mean_logarithms()
        each = self._ln_b() - (self.alpha - 1) * ln_x - (self.beta - 1) * ln_rest
        return each.sum(axis=-1) + math.log(2) * self.alpha.shape[-1]

    def entropy_backward(self, dentropy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dL/dH (B,) -> dalpha, dbeta (B, A)."""
        s, w = self.alpha + self.beta, dentropy[:, None]
        common = (s - 2) * trigamma(s)
        return tuple(w * (common - (p - 1) * trigamma(p)) for p in (self.alpha, self.beta))

    def kl(self, other: "Beta") -> np.ndarray:
        """KL(self‖other): (B,)."""
        ln_x, ln_rest = self._mean_logarithms()
        each = other._ln_b() - self._ln_b() + (self.alpha - other.alpha) * ln_x + (self.beta - other.beta) * ln_rest
        return each.sum(axis=-1)

    def kl_backward(self, other: "Beta", dkl: np.ndarray) -> tuple[np.ndarray, ...]:
        """dL/dKL (B,) -> dalpha, dbeta of self, then dalpha, dbeta of other."""
        w, s = dkl[:, None], self.alpha + self.beta
        common = (other.alpha + other.beta - s) * trigamma(s)
        pairs = ((self.alpha, other.alpha), (self.beta, other.beta))
        own = (w * ((p - q) * trigamma(p) + common) for p, q in pairs)
        theirs = (w * (q - p) for p, q in zip(self._mean_logarithms(), other._mean_logarithms(), strict=True))
        return (*own, *theirs)

    def take(self, rows: np.ndarray) -> "Beta":
        """The distribution of some rows."""
        return Beta(self.alpha[rows], self.beta[rows])

    def _ln_b(self):
        return ln_gamma(self.alpha) + ln_gamma(self.beta) - ln_gamma(self.alpha + self.beta)

    def _mean_logarithms(self):
        """E ln x = ψ(α) − ψ(s), and E ln(1 − x)."""
        whole = digamma(self.alpha + self.beta)
        return digamma(self.alpha) - whole, digamma(self.beta) - whole


def _logarithms(actions):
    """ln x and ln(1 − x)."""
    half = actions.dtype.type(0.5)
    return np.log(half + half * actions), np.log(half - half * actions)
