"""Group normalisation (Wu & He 2018).       B batch, C channels in G groups, S places (every axis after the second), n = (C/G)·S

Forward    μ = mean_n x    σ = √(var_n x + ε)    x̂ = (x − μ)/σ        one μ and σ for each row and group: (B, G)
           y = γ·x̂ + β                                                  γ and β for each channel: (C,)
Backward   dγ = Σ_{b,s} dy·x̂        dβ = Σ_{b,s} dy                     a channel's γ and β serve all its rows and places
           dx̂ = γ·dy
           dx = (dx̂ − mean_n dx̂ − x̂·mean_n(dx̂·x̂)) / σ                  each row and group is a row of layer normalisation:
                                                                        layer_norm.py derives this line, with n for C
Tangent    vx̂ = (vx − mean_n vx − x̂·mean_n(vx·x̂)) / σ                  the same map: the Jacobian of x̂ is symmetric
           vy = γ·vx̂ + vγ·x̂ + vβ                                       the product rule

G = C is instance normalisation; G = 1 on flat features (no S) is layer normalisation. Rows do not meet: there is nothing to
run and inference is the same. Flat features take layer normalisation's kernel, a group for a row.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module, summing_kernel
from deepnp.checks import check_tangent
from deepnp.dispatch import accelerated
from deepnp.ops.normalization import across, all_but_channels, check_channels, divided, fit_squares, layer_norm


class Cache(NamedTuple):
    x: np.ndarray  # (B, C, …), divided by scale
    mean: np.ndarray  # (B, G, 1)
    sigma: np.ndarray  # (B, G, 1)
    gamma: np.ndarray  # (C,)
    scale: np.ndarray | None = None  # (B, G, 1), of groups whose squares would overflow; None where none do


def forward(x, gamma, beta, groups, eps=1e-5) -> tuple[np.ndarray, Cache]:
    """x (B, C, …), gamma (C,), beta (C,), groups a divisor of C -> y (B, C, …)."""
    rows, eps, scale = fit_squares(_grouped(x, groups), eps, 2)
    mean = rows.mean(axis=2, keepdims=True)
    centred = rows - mean
    sigma = array_module(x).sqrt((centred * centred).mean(axis=2, keepdims=True) + eps)
    normal = (centred / sigma).reshape(x.shape)
    return across(gamma, x) * normal + across(beta, x), Cache(rows.reshape(x.shape), mean, sigma, gamma, scale)


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dy (B, C, …) -> dx (B, C, …), dgamma (C,), dbeta (C,)."""
    x, mean, sigma, gamma, scale = cache
    normal = _normal(x, mean, sigma)
    axes, _ = all_but_channels(x)
    dx = divided(_through(across(gamma, x) * dy, normal, sigma), scale)
    return dx.reshape(x.shape), (dy * normal.reshape(x.shape)).sum(axis=axes), dy.sum(axis=axes)


def jvp(vx, vgamma, vbeta, cache) -> np.ndarray:
    """Tangents vx (B, C, …), vgamma (C,), vbeta (C,) -> tangent of y (B, C, …)."""
    x, mean, sigma, gamma, scale = cache
    for tangent, argument in ((vx, x), (vgamma, gamma), (vbeta, gamma)):
        check_tangent(tangent, argument.shape)
    normal = _normal(x, mean, sigma)
    vnormal = divided(_through(vx, normal, sigma), scale).reshape(x.shape)
    return across(gamma, x) * vnormal + across(vgamma, x) * normal.reshape(x.shape) + across(vbeta, x)


def _grouped(x, groups):
    """x (B, C, …) as (B, G, n)."""
    return x.reshape(len(x), groups, math.prod(x.shape[1:]) // groups)


def _normal(x, mean, sigma):
    return (_grouped(x, mean.shape[1]) - mean) / sigma


def _through(change, normal, sigma):
    """The Jacobian of x̂, symmetric, times `change` (B, C, …) -> (B, G, n)."""
    change = _grouped(change, normal.shape[1])
    mean, product = change.mean(axis=2, keepdims=True), (change * normal).mean(axis=2, keepdims=True)
    return (change - mean - normal * product) / sigma


@summing_kernel
def _forward(x, gamma, beta, eps, y, mean, sigma):
    kind, groups, channels, places = x.dtype.type, gamma.shape[0], x.shape[1], x.shape[2]
    share = kind(1.0 / (channels * places))
    for i in range(x.shape[0]):
        total, squares = kind(0), kind(0)
        for j in range(channels):
            for s in range(places):
                total += x[i, j, s]
        centre = total * share
        for j in range(channels):
            for s in range(places):
                squares += (x[i, j, s] - centre) * (x[i, j, s] - centre)
        root = kind(np.sqrt(squares * share + eps))
        mean[i], sigma[i] = centre, root
        for j in range(channels):
            scale, shift = gamma[i % groups, j] / root, beta[i % groups, j]
            for s in range(places):
                y[i, j, s] = (x[i, j, s] - centre) * scale + shift
    return layer_norm.overflowed(x, sigma)


@summing_kernel
def _backward(dy, x, mean, sigma, gamma, dx, dgamma, dbeta):
    kind, groups, channels, places = x.dtype.type, gamma.shape[0], x.shape[1], x.shape[2]
    share = kind(1.0 / (channels * places))
    for i in range(x.shape[0]):
        g, centre, inverse = i % groups, mean[i], kind(1) / sigma[i]
        first, second = kind(0), kind(0)
        for j in range(channels):
            total, product = kind(0), kind(0)
            for s in range(places):
                total += dy[i, j, s]
                product += dy[i, j, s] * (x[i, j, s] - centre)
            dbeta[g, j] += total
            dgamma[g, j] += product * inverse
            first += gamma[g, j] * total * share
            second += gamma[g, j] * product * share * inverse * inverse
        for j in range(channels):
            for s in range(places):
                dx[i, j, s] = (gamma[g, j] * dy[i, j, s] - first - (x[i, j, s] - centre) * second) * inverse


def _check(x, gamma, beta, groups, eps):
    check_channels(x, gamma, beta)
    if groups < 1 or x.shape[1] % groups:
        raise ValueError(f"expected groups that divide {x.shape[1]} channels, given {groups}")


def _forward_fast(x, gamma, beta, groups, eps):
    per_row = len(x), groups, 1
    y, mean, sigma = np.empty_like(x), np.empty(per_row, x.dtype), np.empty(per_row, x.dtype)
    vectors = gamma.reshape(groups, -1), beta.reshape(groups, -1)
    run = layer_norm.forward_rows if x.ndim == 2 else _forward
    if run(_as_maps(x, groups), *vectors, eps, _as_maps(y, groups), mean.ravel(), sigma.ravel()):
        return None
    return y, Cache(x, mean, sigma, gamma)


def _backward_fast(dy, cache):
    x, mean, sigma, gamma, scale = cache
    if scale is not None:
        return None
    groups = mean.shape[1]
    dx, dgamma, dbeta = np.empty_like(dy), np.zeros_like(gamma), np.zeros_like(gamma)
    run = layer_norm.backward_rows if x.ndim == 2 else _backward
    given = _as_maps(dy, groups), _as_maps(x, groups), mean.ravel(), sigma.ravel(), gamma.reshape(groups, -1)
    run(*given, _as_maps(dx, groups), dgamma.reshape(groups, -1), dbeta.reshape(groups, -1))
    return dx, dgamma, dbeta


def _as_maps(x, groups):
    """x (B, C, …) as (B·G, C/G, S); flat features (B, C) as (B·G, C/G)."""
    shape = len(x) * groups, x.shape[1] // groups
    return x.reshape(shape if x.ndim == 2 else (*shape, math.prod(x.shape[2:])))


forward = accelerated(forward, cpu=_forward_fast, check=_check)
backward = accelerated(backward, cpu=_backward_fast, y_shape=lambda cache: cache.x.shape)

CASES = [
    dict(x=(5, 6), gamma=(6,), beta=(6,), groups=2),
    dict(x=(3, 4), gamma=(4,), beta=(4,), groups=1, eps=0.1),
    dict(x=(2, 4, 3), gamma=(4,), beta=(4,), groups=2),
    dict(x=(2, 6, 2, 3), gamma=(6,), beta=(6,), groups=3),
    dict(x=(2, 3, 5, 7), gamma=(3,), beta=(3,), groups=3),
    dict(x=(0, 4), gamma=(4,), beta=(4,), groups=2),
    dict(x=(0, 4, 2), gamma=(4,), beta=(4,), groups=4),
]
