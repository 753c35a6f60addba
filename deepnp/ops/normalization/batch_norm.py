"""Batch normalisation.        B batch, C channels, S places (every axis after the second), m = B·S values for each channel

Forward    μ = mean_m x    σ = √(var_m x + ε)    x̂ = (x − μ)/σ    y = γ·x̂ + β         each of μ, σ, γ, β is (C,)
Backward   dγ = Σ_m dy·x̂        dβ = Σ_m dy                γ and β serve all m values of their channel
           dx̂ = γ·dy
           dσ² = −½σ⁻³ Σ_m dx̂·(x − μ)                      σ² reaches every x̂ of its channel
           dμ = −σ⁻¹ Σ_m dx̂                                so does μ; its way through σ² is zero, because Σ(x − μ) = 0
           dx = dx̂/σ + dσ²·2(x − μ)/m + dμ/m               directly, through σ², through μ; with the sums written as dγ and dβ:
              = (γ/σ)·(dy − dβ/m − x̂·dγ/m)
Tangent    vx̂ = (vx − mean_m vx − x̂·mean_m(vx·x̂)) / σ      the same map: the Jacobian of x̂ is symmetric
           vy = γ·vx̂ + vγ·x̂ + vβ                           the product rule

Inference  y = (x − μ)·s + β    s = γ/√(var + ε)           with running μ and var
           dx = s·dy      dγ = Σ_m dy·x̂       dβ = Σ_m dy    the statistics are constants: nothing goes through them
           vy = s·vx + vγ·x̂ + vβ

The variance is the biased one (÷ m), in two passes; ε stands inside the root, once. (Thesis Alg. 4 l. 25–29 has a mean for the
sum, ε twice, and the sign of the direct term wrong.) With m = 1, x̂ = 0: y = β and dx = 0. An empty batch has μ = var = 0.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, ordered_kernel, summing_kernel
from deepnp.checks import check_tangent, check_upstream
from deepnp.dispatch import accelerated
from deepnp.ops.normalization import across, all_but_channels, check_channels, divided, fit_squares


class Cache(NamedTuple):
    x: np.ndarray  # (B, C, …), divided by scale
    mean: np.ndarray  # (C,)
    variance: np.ndarray  # (C,)
    sigma: np.ndarray  # (C,)
    gamma: np.ndarray  # (C,)
    scale: np.ndarray | None = None  # (1, C, 1, …), of channels whose squares would overflow; None where none do


def forward(x, gamma, beta, eps=1e-5) -> tuple[np.ndarray, Cache]:
    """x (B, C, …), gamma (C,), beta (C,) -> y (B, C, …)."""
    x, eps, scale = fit_squares(x, eps, all_but_channels(x)[0])
    mean, variance = moments(x)
    sigma = array_module(x).sqrt(variance + (eps if scale is None else eps.ravel()))
    cache = Cache(x, mean, variance, sigma, gamma, scale)
    return across(gamma, x) * _normal(cache) + across(beta, x), cache


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dy (B, C, …) -> dx (B, C, …), dgamma (C,), dbeta (C,)."""
    x, (axes, m), normal = cache.x, all_but_channels(dy), _normal(cache)
    dgamma, dbeta = (dy * normal).sum(axis=axes), dy.sum(axis=axes)
    m = max(m, 1)
    dx = across(cache.gamma / cache.sigma, x) * (dy - across(dbeta / m, x) - normal * across(dgamma / m, x))
    return divided(dx, cache.scale), dgamma, dbeta


def jvp(vx, vgamma, vbeta, cache) -> np.ndarray:
    """Tangents vx (B, C, …), vgamma (C,), vbeta (C,) -> tangent of y (B, C, …)."""
    x, gamma = cache.x, cache.gamma
    for tangent, argument in ((vx, x), (vgamma, gamma), (vbeta, gamma)):
        check_tangent(tangent, argument.shape)
    (axes, m), normal, vx = all_but_channels(x), _normal(cache), divided(vx, cache.scale)
    m = max(m, 1)
    vnormal = vx - across(vx.sum(axis=axes) / m, x) - normal * across((vx * normal).sum(axis=axes) / m, x)
    return across(gamma / cache.sigma, x) * vnormal + across(vgamma, x) * normal + across(vbeta, x)


def moments(x) -> tuple[np.ndarray, np.ndarray]:
    """x (B, C, …) -> mean (C,), biased variance (C,)."""
    axes, m = all_but_channels(x)
    mean = x.sum(axis=axes) / max(m, 1)
    centred = x - across(mean, x)
    return mean, (centred * centred).sum(axis=axes) / max(m, 1)


def batch_moments(cache) -> tuple[np.ndarray, np.ndarray]:
    """What `forward` computed on its way: mean (C,), biased variance (C,)."""
    if cache.scale is None:
        return cache.mean, cache.variance
    scale = cache.scale.ravel()
    return cache.mean * scale, cache.variance * scale * scale


def infer(x, gamma, beta, mean, variance, eps=1e-5) -> np.ndarray:
    """x (B, C, …), all others (C,) -> y (B, C, …), from given statistics."""
    scale = gamma / array_module(x).sqrt(variance + eps)
    return (x - across(mean, x)) * across(scale, x) + across(beta, x)


def infer_backward(dy, x, gamma, mean, variance, eps=1e-5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dy (B, C, …) -> dx (B, C, …), dgamma (C,), dbeta (C,) of `infer`."""
    check_upstream(dy, x.shape)
    sigma, (axes, _) = array_module(x).sqrt(variance + eps), all_but_channels(x)
    normal = (x - across(mean, x)) / across(sigma, x)
    return across(gamma / sigma, x) * dy, (dy * normal).sum(axis=axes), dy.sum(axis=axes)


def infer_jvp(vx, vgamma, vbeta, x, gamma, mean, variance, eps=1e-5) -> np.ndarray:
    """Tangents vx (B, C, …), vgamma (C,), vbeta (C,) -> tangent of `infer`'s y (B, C, …)."""
    for tangent, argument in ((vx, x), (vgamma, gamma), (vbeta, gamma)):
        check_tangent(tangent, argument.shape)
    sigma = array_module(x).sqrt(variance + eps)
    normal = (x - across(mean, x)) / across(sigma, x)
    return across(gamma / sigma, x) * vx + across(vgamma, x) * normal + across(vbeta, x)


def _normal(cache):
    return (cache.x - across(cache.mean, cache.x)) / across(cache.sigma, cache.x)


@summing_kernel
def _moments_of_columns(x, mean, variance):
    share = x.dtype.type(1.0 / max(x.shape[0], 1))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            mean[j] += x[i, j]
    for j in range(x.shape[1]):
        mean[j] *= share
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            variance[j] += (x[i, j] - mean[j]) * (x[i, j] - mean[j])
    for j in range(x.shape[1]):
        variance[j] *= share


@summing_kernel
def _moments_of_maps(x, mean, variance):
    kind = x.dtype.type
    share = kind(1.0 / max(x.shape[0] * x.shape[2], 1))
    for c in range(x.shape[1]):
        for b in range(x.shape[0]):
            total = kind(0)
            for s in range(x.shape[2]):
                total += x[b, c, s]
            mean[c] += total * share
        centre = mean[c]
        for b in range(x.shape[0]):
            squares = kind(0)
            for s in range(x.shape[2]):
                squares += (x[b, c, s] - centre) * (x[b, c, s] - centre)
            variance[c] += squares * share


@summing_kernel
def _scale_columns(x, mean, scale, shift, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - mean[j]) * scale[j] + shift[j]


@summing_kernel
def _scale_maps(x, mean, scale, shift, y):
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            for s in range(x.shape[2]):
                y[b, c, s] = (x[b, c, s] - mean[c]) * scale[c] + shift[c]


@summing_kernel
def _backward_columns(dy, x, mean, sigma, gamma, dx, dgamma, dbeta):
    share = x.dtype.type(1.0 / max(x.shape[0], 1))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dgamma[j] += dy[i, j] * (x[i, j] - mean[j])
        for j in range(x.shape[1]):
            dbeta[j] += dy[i, j]
    scale, first, second = np.empty_like(gamma), np.empty_like(gamma), np.empty_like(gamma)
    for j in range(x.shape[1]):
        dgamma[j] /= sigma[j]
        scale[j], first[j], second[j] = gamma[j] / sigma[j], dbeta[j] * share, dgamma[j] * share / sigma[j]
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = scale[j] * (dy[i, j] - first[j] - (x[i, j] - mean[j]) * second[j])


@summing_kernel
def _backward_maps(dy, x, mean, sigma, gamma, dx, dgamma, dbeta):
    kind = x.dtype.type
    share = kind(1.0 / max(x.shape[0] * x.shape[2], 1))
    for c in range(x.shape[1]):
        centre = mean[c]
        for b in range(x.shape[0]):
            total, product = kind(0), kind(0)
            for s in range(x.shape[2]):
                total += dy[b, c, s]
                product += dy[b, c, s] * (x[b, c, s] - centre)
            dbeta[c] += total
            dgamma[c] += product / sigma[c]
        scale = gamma[c] / sigma[c]
        first, second = dbeta[c] * share, dgamma[c] * share / sigma[c]
        for b in range(x.shape[0]):
            for s in range(x.shape[2]):
                dx[b, c, s] = scale * (dy[b, c, s] - first - (x[b, c, s] - centre) * second)


@ordered_kernel
def _is_finite(variance):
    finite = True
    for j in range(len(variance)):
        finite &= variance[j] < np.inf
    return finite


def _maps(x):
    """x (B, C, …) as (B, C, S)."""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def _moments_fast(x):
    mean, variance = np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
    if x.ndim == 2:
        _moments_of_columns(x, mean, variance)
    else:
        _moments_of_maps(_maps(x), mean, variance)
    return mean, variance


def _scaled(x, mean, scale, shift):
    y = np.empty_like(x)
    if x.ndim == 2:
        _scale_columns(x, mean, scale, shift, y)
    else:
        _scale_maps(_maps(x), mean, scale, shift, _maps(y))
    return y


def _forward_fast(x, gamma, beta, eps):
    mean, variance = _moments_fast(x)
    if not _is_finite(variance) and np.isfinite(x).all(axis=all_but_channels(x)[0])[~np.isfinite(variance)].any():
        return None  # squares of finite values overflowed
    sigma = np.sqrt(variance + eps)
    return _scaled(x, mean, gamma / sigma, beta), Cache(x, mean, variance, sigma, gamma)


def _infer_fast(x, gamma, beta, mean, variance, eps):
    return _scaled(x, mean, gamma / np.sqrt(variance + eps), beta)


def _backward_fast(dy, cache):
    x, mean, _, sigma, gamma, scale = cache
    if scale is not None:
        return None
    dx, dgamma, dbeta = np.empty_like(dy), np.zeros_like(gamma), np.zeros_like(gamma)
    if x.ndim == 2:
        _backward_columns(dy, x, mean, sigma, gamma, dx, dgamma, dbeta)
    else:
        _backward_maps(_maps(dy), _maps(x), mean, sigma, gamma, _maps(dx), dgamma, dbeta)
    return dx, dgamma, dbeta


def _check(x, gamma, beta, eps):
    if not x.shape[1:2] == gamma.shape == beta.shape or x.ndim < 2:
        check_channels(x, gamma, beta)


def _check_all(x, gamma, beta, mean, variance, eps):
    check_channels(x, gamma, beta, mean, variance)


def _moments_on_gpu(x):
    if x.dtype != np.float32:
        return None  # only float32's squares fit into sums in double precision, whatever they are
    mean, variance = _mean_and_variance(x)
    return mean, variance.astype(x.dtype)


def _mean_and_variance(x):
    share = x.shape[1] / x.size
    mean = _sum_gpu(x, share=share)[0]
    return mean, _squares_gpu(x, mean, share=share, dtype=np.float64)[0]


def _forward_on_gpu(x, gamma, beta, eps):
    if x.dtype != np.float32:
        return None
    mean, variance = _mean_and_variance(x)
    variance, sigma = _sigma_gpu(variance, eps)
    y = _scale_gpu(x, *(across(v, x) for v in (mean, sigma, gamma, beta)))
    return y, Cache(x, mean, variance, sigma, gamma)


def _infer_on_gpu(x, gamma, beta, mean, variance, eps):
    return _infer_gpu(x, *(across(v, x) for v in (gamma, beta, mean, variance)), eps)


def _backward_on_gpu(dy, cache):
    x, mean, _, sigma, gamma, scale = cache
    if scale is not None or x.dtype != np.float32:
        return None
    dgamma, dbeta = _parameters_gpu(dy, x, mean, sigma)
    dx = _dx_gpu(dy, x, *(across(v, x) for v in (mean, sigma, gamma, dgamma, dbeta)), x.shape[1] / x.size)
    return dx, dgamma, dbeta


_NORMAL = "(({x} / 2 - {mean} / 2) / ({sigma} / 2))"  # in C: x̂; halves, because x − μ overflows for the largest x
_OF_ELEMENT, _OF_CELL = (
    _NORMAL.format(x="x", mean="mean", sigma="sigma"),
    _NORMAL.format(x="x[cell]", mean="mean[c]", sigma="sigma[c]"),
)
_sum_gpu = gpu.Channels("const T* x", "sums[0] += x[cell];", "batch_norm_sum")
_squares_gpu = gpu.Channels(
    "const T* x, const T* mean", "const double d = double(x[cell]) - mean[c]; sums[0] += d * d;", "batch_norm_squares"
)
_sigma_gpu = gpu.Elementwise(
    "float64 exact, float64 eps",
    "float32 variance, float32 sigma",
    "variance = exact, sigma = sqrt(exact + eps)",
    "batch_norm_sigma",
)
_scale_gpu = gpu.Elementwise(
    "T x, T mean, T sigma, T gamma, T beta", "T y", f"y = gamma * {_OF_ELEMENT} + beta", "batch_norm_scale"
)
_infer_gpu = gpu.Elementwise(
    "T x, T gamma, T beta, T mean, T variance, T eps",
    "T y",
    "y = (x - mean) * (gamma / sqrt(variance + eps)) + beta",
    "batch_norm_infer",
)
_parameters_gpu = gpu.Channels(
    "const T* dy, const T* x, const T* mean, const T* sigma",
    f"sums[0] += dy[cell] * {_OF_CELL}, sums[1] += dy[cell];",
    "batch_norm_parameters",
    count=2,
)
_dx_gpu = gpu.Elementwise(
    "T dy, T x, T mean, T sigma, T gamma, T dgamma, T dbeta, T share",
    "T dx",
    f"dx = gamma / sigma * (dy - dbeta * share - {_OF_ELEMENT} * dgamma * share)",
    "batch_norm_backward",
)

moments = accelerated(moments, cpu=_moments_fast, gpu=_moments_on_gpu, check=check_channels)
forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, check=_check)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, y_shape=lambda cache: cache.x.shape)
infer = accelerated(infer, cpu=_infer_fast, gpu=_infer_on_gpu, check=_check_all)

CASES = [
    dict(x=(5, 3), gamma=(3,), beta=(3,)),
    dict(x=(4, 1), gamma=(1,), beta=(1,)),
    dict(x=(1, 3), gamma=(3,), beta=(3,)),
    dict(x=(3, 2, 4), gamma=(2,), beta=(2,), eps=0.1),
    dict(x=(2, 3, 2, 3), gamma=(3,), beta=(3,)),
    dict(x=(19, 40), gamma=(40,), beta=(40,)),
    dict(x=(0, 4), gamma=(4,), beta=(4,)),
    dict(x=(0, 2, 3, 3), gamma=(2,), beta=(2,)),
]
