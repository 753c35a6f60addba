"""ln Γ and its first two derivatives, for x ≥ 1, as Beta distributions need them.

    Γ(x + 1) = x·Γ(x), so                    ln Γ(x) = ln Γ(x + n) − Σ_{i<n} ln(x + i)
                                             ψ(x)    = ψ(x + n)    − Σ_{i<n} 1/(x + i)           ψ  = (ln Γ)′
                                             ψ′(x)   = ψ′(x + n)   + Σ_{i<n} 1/(x + i)²          ψ′ = (ln Γ)″
    Stirling, with Bernoulli's numbers B:    ln Γ(x) ~ (x − ½) ln x − x + ½ ln 2π + Σ_k B_2k/(2k(2k − 1)) x^{1−2k}
    and, term by term, its derivatives:      ψ(x)    ~ ln x − 1/(2x) − Σ_k B_2k/2k x^{−2k}
                                             ψ′(x)   ~ 1/x + 1/(2x²) + Σ_k B_2k x^{−2k−1}

With n = 8 and the six terms below, the first one left out is less than 1e-13. Counted in float64, whatever x is.
"""

import math

import numpy as np

SHIFT = 8  # n
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)  # B_2, B_4, …


def ln_gamma(x: np.ndarray) -> np.ndarray:
    """ln Γ(x), x ≥ 1 (any shape), in the type of x."""
    steps, far = _shifted(x)
    series = sum(b / (2 * k * (2 * k - 1)) * far ** (1 - 2 * k) for k, b in enumerate(BERNOULLI, 1))
    value = (far - 0.5) * np.log(far) - far + 0.5 * math.log(2 * math.pi) + series
    return (value - np.log(steps).sum(axis=0)).astype(x.dtype)


def digamma(x: np.ndarray) -> np.ndarray:
    """ψ(x), x ≥ 1 (any shape), in the type of x."""
    steps, far = _shifted(x)
    series = sum(b / (2 * k) * far ** (-2 * k) for k, b in enumerate(BERNOULLI, 1))
    return (np.log(far) - 0.5 / far - series - (1 / steps).sum(axis=0)).astype(x.dtype)


def trigamma(x: np.ndarray) -> np.ndarray:
    """ψ′(x), x ≥ 1 (any shape), in the type of x."""
    steps, far = _shifted(x)
    series = sum(b * far ** (-2 * k - 1) for k, b in enumerate(BERNOULLI, 1))
    return (1 / far + 0.5 / far**2 + series + (1 / steps**2).sum(axis=0)).astype(x.dtype)


def _shifted(x):
    """x, x + 1, …, x + n − 1 along a new first axis, and x + n."""
    wide = np.asarray(x, np.float64)
    return wide + np.arange(SHIFT).reshape(-1, *[1] * wide.ndim), wide + SHIFT
