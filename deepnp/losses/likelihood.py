"""Losses of predicted distributions: divergences and negative log-likelihoods.

With `mask`, Boolean, of the first argument's shape or of its leading axes, only what is True exists.
"""

import math

import numpy as np

from deepnp.backend import array_module, kernel_runs, ordered_kernel, summing_kernel
from deepnp.cases import Booleans, Integers, Uniform
from deepnp.losses.checks import check_range, check_shapes, in_one_pass
from deepnp.losses.masks import kept, spread


def kl_divergence(log_q, target, *, mask=None) -> tuple[float, np.ndarray]:
    """Kullback–Leibler divergence of q from the target distribution t.    B rows (every leading axis), C classes

    Forward    L = (1/B) Σ_bc t (ln t − ln q)                 0 where t = 0
    Backward   dlog_q = −t/B                                  log-softmax, which made ln q, has its own backward

    KL(t‖q) measures the surprise of who expects q and sees t. The mean is over rows, not elements, so that it is a
    divergence (PyTorch's "batchmean", for two axes).

    log_q (B…, C) at most 0, target (B…, C) in [0, 1], mask (B…) -> value, dlog_q (B…, C).
    """
    check_shapes(log_q, target, "log-probabilities and target")
    if mask is not None:
        if mask.ndim >= log_q.ndim:
            raise ValueError(f"expected a mask of rows, given shape {mask.shape} for rows of {log_q.shape}")
        value, dlog_q = kl_divergence(*kept(mask, log_q, target))
        return value, spread(dlog_q, mask)
    check_range(target, 0, 1, "target probabilities")
    if log_q.max() > 1e-3:  # more than a rounding of ln 1: these are probabilities, or logits
        raise ValueError(f"expected log-probabilities, at most 0, given {log_q.max()}")
    target, classes = target.astype(log_q.dtype, copy=False), log_q.shape[-1]
    if log_q.dtype == np.float32 and kernel_runs(log_q, target):
        mean, dlog_q = in_one_pass(_kl_divergence, log_q, target, classes / log_q.size)
        return mean * classes, dlog_q
    xp, share = array_module(log_q), classes / log_q.size
    log_t = xp.log(xp.where(target > 0, target, 1))
    return float((share * target * (log_t - xp.where(target > 0, log_q, 0))).sum()), -share * target


def gaussian_nll(mean, variance, *, target, eps=1e-6, mask=None) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """Negative log-likelihood of targets under N(μ, v), less the constant ½ ln 2π.

    Forward    L = (1/n) Σ ½ [ln v + (t − μ)²/v]              v = max(variance, ε)
    Backward   dμ = (1/n) (μ − t)/v
               dv = (1/n) ½ [1/v − (t − μ)²/v²]               0 where variance < ε: there the loss does not depend on it
                                                              (PyTorch passes the gradient of v on)

    mean, variance, target : arrays of one shape, variance >= 0, eps > 0 -> value, (dmean, dvariance) (that shape).
    The target has a name: PyTorch's order is mean, target, variance.
    """
    check_shapes(mean, target, "mean and target")
    check_shapes(variance, mean, "variance and mean")
    if not eps > 0:
        raise ValueError(f"expected eps > 0, given {eps}")
    eps = float(eps)  # NumPy's float64 would decide the gradients' type
    if mask is not None:
        mean, variance, target = kept(mask, mean, variance, target)
        value, (dmean, dvariance) = gaussian_nll(mean, variance, target=target, eps=eps)
        return value, (spread(dmean, mask), spread(dvariance, mask))
    check_range(variance, 0, math.inf, "variances")
    target, variance = target.astype(mean.dtype, copy=False), variance.astype(mean.dtype, copy=False)
    if mean.dtype == np.float32 and kernel_runs(mean, variance, target):
        return _gaussian_nll_fast(mean, variance, target, eps)
    xp, share = array_module(mean), 1 / mean.size
    v = xp.maximum(variance, eps)
    scaled = (mean - target) / v  # (μ − t)/v
    dvariance = xp.where(variance >= eps, (0.5 * share) * (1 / v - scaled * scaled), 0)
    return float((0.5 * share * (xp.log(v) + scaled * (mean - target))).sum()), (share * scaled, dvariance)


def poisson_nll(y, target, log_input=True, *, eps=1e-8, mask=None) -> tuple[float, np.ndarray]:
    """Negative log-likelihood of counts t under a Poisson distribution of rate λ, less the constant ln t!.

    Forward    L = (1/n) Σ (λ − t ln λ)                       λ = e^y, or λ = y with ln(y + ε) if not `log_input`
    Backward   dy = (1/n) (e^y − t), or (1/n) (1 − t/(y + ε))

    y, target : arrays of one shape, counts >= 0, y >= 0 unless log_input -> value, dy (that shape).
    """
    check_shapes(y, target)
    if mask is not None:
        y, target = kept(mask, y, target)
        value, dy = poisson_nll(y, target, log_input, eps=eps)
        return value, spread(dy, mask)
    check_range(target, 0, math.inf, "counts")
    target = target.astype(y.dtype, copy=False)
    xp, share = array_module(y), 1 / y.size
    if log_input:
        rate = xp.exp(y)
        return float((share * (rate - target * y)).sum()), share * (rate - target)
    check_range(y, 0, math.inf, "rates")
    shifted = y + float(eps)
    return float((share * (y - target * xp.log(shifted))).sum()), share * (1 - target / shifted)


def _gaussian_nll_fast(mean, variance, target, eps):
    dmean, dvariance = np.empty_like(mean), np.empty_like(mean)
    flat = (x.reshape(-1) for x in (mean, variance, target, dmean, dvariance))
    return float(_gaussian_nll(*flat, np.float32(eps))) / mean.size, (dmean, dvariance)


@ordered_kernel
def _log(x):
    """ln x in float32, for normal x > 0: x = 2ᵏ m with m near 1, ln m = 2 artanh s, s = (m − 1)/(m + 1)."""
    f = np.float32
    bits = f(x).view(np.int32)
    k = (bits - np.int32(0x3F3504F3)) >> np.int32(23)  # the bits of √½: m lies in [√½, √2)
    m = np.int32(bits - (k << np.int32(23))).view(np.float32)
    s = (m - f(1)) / (m + f(1))
    t = s * s
    return f(k) * f(0.69314718) + f(2) * s * (f(1) + t * (f(1 / 3) + t * (f(1 / 5) + t * (f(1 / 7) + t * f(1 / 9)))))


@summing_kernel
def _kl_divergence(log_q, target, dlog_q, share):
    f = np.float32
    total, zero, least = 0.0, f(0), f(1.2e-38)
    for i in range(log_q.size):
        t = target[i]
        total += t * (_log(least if t < least else t) - (log_q[i] if t > zero else zero))
        dlog_q[i] = -share * t
    return total


@summing_kernel
def _gaussian_nll(mean, variance, target, dmean, dvariance, eps):
    f = np.float32
    total, half, one, zero, share = 0.0, f(0.5), f(1), f(0), f(1.0 / mean.size)
    for i in range(mean.size):
        v = eps if variance[i] < eps else variance[i]
        inverse, error = one / v, mean[i] - target[i]
        scaled = error * inverse
        total += half * (_log(v) + scaled * error)
        dmean[i] = share * scaled
        dvariance[i] = zero if variance[i] < eps else half * share * (inverse - scaled * scaled)
    return total


_TARGET = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
_COUNTS = np.array([[0.0, 1.0, 5.0], [2.0, 0.0, 3.0]])

CASES = {
    kl_divergence: [
        dict(log_q=Uniform((4, 3), -3, -0.1), target=_TARGET),
        dict(log_q=Uniform((2, 2, 3), -3, -0.1), target=_TARGET.reshape(2, 2, 3)),
        dict(log_q=Uniform((4, 3), -3, -0.1), target=_TARGET, mask=Booleans((4,))),
    ],
    gaussian_nll: [
        dict(mean=(5, 3), variance=Uniform((5, 3), 0.3, 2), target=(5, 3)),
        dict(mean=(5, 3), variance=Uniform((5, 3), 0.1, 0.4), target=(5, 3), eps=0.5),
        dict(mean=(5, 3), variance=Uniform((5, 3), 0.6, 2), target=(5, 3), eps=0.5, mask=Booleans((5, 3))),
    ],
    poisson_nll: [
        dict(y=(2, 3), target=_COUNTS),
        dict(y=Uniform((2, 3), 0.2, 4), target=Integers((2, 3), 5), log_input=False),
        dict(y=Uniform((2, 3), 0.2, 4), target=_COUNTS, log_input=False, eps=0.5, mask=np.array([[True, False, True]] * 2)),
    ],
}
