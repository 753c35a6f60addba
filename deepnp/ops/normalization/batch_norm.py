"""Batch normalisation.        B batch, C channels, S places (every axis after the second), m = B·S values for each channel

Forward    μ = mean_m x    σ = √(var_m x + ε)    x̂ = (x − μ)/σ    y = γ·x̂ + β         each of μ, σ, γ, β is (C,)
Backward   dγ = Σ_m dy·x̂        dβ = Σ_m dy
           dx̂ = γ·dy
           dσ² = −½σ⁻³ Σ_m dx̂·(x − μ)                      σ² reaches every x̂ of its channel
           dμ = −σ⁻¹ Σ_m dx̂                                so does μ; its way through σ² is zero, because Σ(x − μ) = 0
           dx = dx̂/σ + dσ²·2(x − μ)/m + dμ/m               directly, through σ², through μ; collected:
              = (γ/σ)·(dy − dβ/m − x̂·dγ/m)
Tangent    vx̂ = (vx − mean_m vx − x̂·mean_m(vx·x̂)) / σ      the Jacobian of x̂ is symmetric
           vy = γ·vx̂ + vγ·x̂ + vβ

Inference  y = x·s + t    s = γ/√(var + ε)    t = β − μ·s    with running μ and var
           dx = s·dy      dγ = Σ_m dy·x̂       dβ = Σ_m dy    the statistics are constants: nothing goes through them

The variance is the biased one (÷ m), in two passes; ε stands inside the root, once. (Thesis Alg. 4 l. 25–29 has a mean for the
sum, ε twice, and the sign of the direct term wrong.) With m = 1, x̂ = 0: y = β and dx = 0. An empty batch has μ = var = 0.
"""

import math

import numpy as np

from deepnp.backend import array_module, kernel, kernel_runs
from deepnp.ops.normalization import across, all_but_channels


def forward(x, gamma, beta, eps=1e-5):
    """x (B, C, …), gamma (C,), beta (C,) -> y (B, C, …)."""
    mean, variance = moments(x)
    sigma = array_module(x).sqrt(variance + eps)
    cache = x, mean, variance, sigma, gamma
    if kernel_runs(x, gamma, beta):
        return _scale_fast(x, mean, gamma / sigma, beta), cache
    return across(gamma, x) * _normal(x, mean, sigma) + across(beta, x), cache


def backward(dy, cache):
    """dy (B, C, …) -> dx (B, C, …), dgamma (C,), dbeta (C,)."""
    x, mean, _, sigma, gamma = cache
    if kernel_runs(dy, x, mean, sigma, gamma):
        return _backward_fast(dy, x, mean, sigma, gamma)
    (axes, m), normal = all_but_channels(x), _normal(x, mean, sigma)
    dgamma, dbeta = (dy * normal).sum(axis=axes), dy.sum(axis=axes)
    m = max(m, 1)
    return across(gamma / sigma, x) * (dy - across(dbeta / m, x) - normal * across(dgamma / m, x)), dgamma, dbeta


def jvp(vx, vgamma, vbeta, cache):
    """Tangents vx (B, C, …), vgamma (C,), vbeta (C,) -> tangent of y (B, C, …)."""
    x, mean, _, sigma, gamma = cache
    (axes, m), normal = all_but_channels(x), _normal(x, mean, sigma)
    m = max(m, 1)
    vnormal = vx - across(vx.sum(axis=axes) / m, x) - normal * across((vx * normal).sum(axis=axes) / m, x)
    return across(gamma / sigma, x) * vnormal + across(vgamma, x) * normal + across(vbeta, x)


def moments(x):
    """x (B, C, …) -> mean (C,), biased variance (C,)."""
    if kernel_runs(x):
        return _moments_fast(x)
    axes, m = all_but_channels(x)
    mean = x.sum(axis=axes) / max(m, 1)
    centred = x - across(mean, x)
    return mean, (centred * centred).sum(axis=axes) / max(m, 1)


def batch_moments(cache):
    """What `forward` computed on its way: mean (C,), biased variance (C,)."""
    _, mean, variance, _, _ = cache
    return mean, variance


def infer(x, gamma, beta, mean, variance, eps=1e-5):
    """x (B, C, …), all others (C,) -> y (B, C, …), from given statistics."""
    scale = gamma / array_module(x).sqrt(variance + eps)
    if kernel_runs(x, gamma, beta, mean, scale):
        return _scale_fast(x, mean, scale, beta)
    return x * across(scale, x) + across(beta - mean * scale, x)


def infer_backward(dy, x, gamma, mean, variance, eps=1e-5):
    """dy (B, C, …) -> dx (B, C, …), dgamma (C,), dbeta (C,) of `infer`."""
    sigma, (axes, _) = array_module(x).sqrt(variance + eps), all_but_channels(x)
    return across(gamma / sigma, x) * dy, (dy * _normal(x, mean, sigma)).sum(axis=axes), dy.sum(axis=axes)


def _normal(x, mean, sigma):
    return (x - across(mean, x)) / across(sigma, x)


def _maps(x):
    """x (B, C, …) as (B, C, S)."""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def _moments_fast(x):
    xp = array_module(x)
    mean, variance = xp.zeros(x.shape[1], x.dtype), xp.zeros(x.shape[1], x.dtype)
    if x.ndim == 2:
        _moments_of_columns(x, mean, variance)
    else:
        _moments_of_maps(_maps(x), mean, variance)
    return mean, variance


def _scale_fast(x, mean, scale, shift):
    y = array_module(x).empty_like(x)
    if x.ndim == 2:
        _scale_columns(x, mean, scale, shift, y)
    else:
        _scale_maps(_maps(x), mean, scale, shift, _maps(y))
    return y


def _backward_fast(dy, x, mean, sigma, gamma):
    xp = array_module(x)
    dx, dgamma, dbeta = xp.empty_like(dy), xp.zeros_like(gamma), xp.zeros_like(gamma)
    if x.ndim == 2:
        _backward_columns(dy, x, mean, sigma, gamma, dx, dgamma, dbeta)
    else:
        _backward_maps(_maps(dy), _maps(x), mean, sigma, gamma, _maps(dx), dgamma, dbeta)
    return dx, dgamma, dbeta


@kernel
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


@kernel
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


@kernel
def _scale_columns(x, mean, scale, shift, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - mean[j]) * scale[j] + shift[j]


@kernel
def _scale_maps(x, mean, scale, shift, y):
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            for s in range(x.shape[2]):
                y[b, c, s] = (x[b, c, s] - mean[c]) * scale[c] + shift[c]


@kernel
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


@kernel
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
