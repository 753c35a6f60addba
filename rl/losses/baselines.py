"""Baselines: what is subtracted from a return before it weighs ∇ ln π(a|s).

E_a[∇ ln π(a|s) b(s)] = b(s) ∇ Σ_a π(a|s) = 0, so a baseline that does not depend on the action leaves the gradient's mean as it
is. Its variance is another matter: that of w(ψ − b), w = ‖∇ ln π‖, is least for

    d/db E[w²(ψ − b)²] = −2 E[w²(ψ − b)] = 0        b* = E[w²ψ]/E[w²]

E[ψ] alone, or V(s), is the usual stand-in: it is b* where w and ψ know nothing of each other.

A mean over the very batch that it is subtracted from depends on each row's own action a little: it scales the gradient by
1 − 1/n, for n rows in the mean.

Shapes: B rows.
"""

import numpy as np

from deepnp.checks import check_shape


def time_means(returns: np.ndarray, ages: np.ndarray) -> np.ndarray:
    """The mean return of all rows at the same step of their episodes: returns (B,), ages (B,) integers >= 0 -> (B,)."""
    check_shape("ages", ages, returns.shape)
    counts, sums = np.bincount(ages), np.bincount(ages, returns)
    return (sums / np.maximum(counts, 1))[ages].astype(returns.dtype)


def minimum_variance(returns: np.ndarray, squared_norms: np.ndarray) -> float:
    """b* = Σ w²ψ / Σ w², of returns ψ (B,) and w² (B,); the mean where every w is 0."""
    check_shape("squared_norms", squared_norms, returns.shape)
    total = float(squared_norms.sum())
    return float(np.dot(squared_norms, returns)) / total if total > 0 else float(returns.mean())
