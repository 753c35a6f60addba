"""A Gaussian squashed into (−1, 1): drawing actions through which gradients flow.         B rows, A action dimensions

Forward    σ = e^ℓ        u = μ + σξ        a = tanh u                 ξ ~ N(0, I) is given: the reparametrisation
           ln π(a) = Σ_j [−½ξ² − ℓ − ½ ln 2π − ln(1 − tanh²u)]_j       the last term is the change of volume under tanh
           ln(1 − tanh²u) = 2(ln 2 − u − softplus(−2u))                stable: 1 − tanh² rounds to 0 at |u| > 9
Backward   du = da·(1 − a²) + 2a·dlnπ                                  tanh′u = 1 − a², and −d ln(1 − tanh²u)/du = 2 tanh u
           dμ = du                                                     u = μ + σξ
           dℓ = du·σξ − dlnπ                                           u moves with σ = e^ℓ; −ℓ is in ln π itself
           dξ = du·σ − ξ·dlnπ                                          −½ξ² is in ln π itself
Tangent    vu = vμ + σξ·vℓ + σ·vξ        va = (1 − a²)·vu        vlnπ = Σ_j [2a·vu − vℓ − ξ·vξ]_j

ℓ is held in [−20, 2]; outside, its gradient is 0.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, kernel_runs, ordered_kernel
from deepnp.cases import Uniform
from deepnp.checks import check_floats, check_shape, check_tangent
from deepnp.ops.activation import softplus

LOG_SIGMA_MIN, LOG_SIGMA_MAX = -20.0, 2.0


class Cache(NamedTuple):
    """Arrays (B, A)."""

    log_sigma: np.ndarray
    sigma: np.ndarray
    noise: np.ndarray
    actions: np.ndarray


def forward(mean, log_sigma, noise) -> tuple[tuple[np.ndarray, np.ndarray], Cache]:
    """mean, log_sigma, noise (B, A) -> (actions (B, A), log_prob (B,)), cache."""
    _check(mean, log_sigma, noise)
    if mean.dtype == np.float32 and kernel_runs(mean, log_sigma, noise):
        return _forward_fast(mean, log_sigma, noise)
    xp, held = array_module(mean), log_sigma.clip(LOG_SIGMA_MIN, LOG_SIGMA_MAX)
    sigma = xp.exp(held)
    u = mean + sigma * noise
    actions = xp.tanh(u)
    volume = 2 * (math.log(2) - u - softplus.forward(-2 * u)[0])
    log_prob = (-0.5 * noise * noise - held - 0.5 * math.log(2 * math.pi) - volume).sum(axis=-1)
    return (actions, log_prob), Cache(log_sigma, sigma, noise, actions)


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dy = (dactions (B, A), dlog_prob (B,)) -> dmean, dlog_sigma, dnoise (B, A)."""
    dactions, dlog_prob = dy
    check_shape("dactions", dactions, cache.actions.shape)
    check_shape("dlog_prob", dlog_prob, cache.actions.shape[:1])
    if kernel_runs(dactions, dlog_prob, *cache):
        return _backward_fast(dactions, dlog_prob, cache)
    log_sigma, sigma, noise, actions = cache
    row = dlog_prob[:, None]
    du = dactions * (1 - actions * actions) + 2 * actions * row
    dlog_sigma = array_module(du).where(free(log_sigma), du * sigma * noise - row, du.dtype.type(0))
    return du, dlog_sigma, du * sigma - noise * row


def jvp(vmean, vlog_sigma, vnoise, cache) -> tuple[np.ndarray, np.ndarray]:
    """Tangents (B, A) -> tangents of actions (B, A) and log_prob (B,)."""
    for v in (vmean, vlog_sigma, vnoise):
        check_tangent(v, cache.actions.shape)
    log_sigma, sigma, noise, actions = cache
    vheld = vlog_sigma * free(log_sigma)
    vu = vmean + sigma * noise * vheld + sigma * vnoise
    return (1 - actions * actions) * vu, (2 * actions * vu - vheld - noise * vnoise).sum(axis=-1)


def free(log_sigma) -> np.ndarray:
    """Where ℓ is not held."""
    return (log_sigma > LOG_SIGMA_MIN) & (log_sigma < LOG_SIGMA_MAX)


def _check(mean, log_sigma, noise):
    check_floats(mean, "mean")
    if mean.ndim != 2:
        raise ValueError(f"expected mean (B, A), given {mean.shape}")
    check_shape("log_sigma", log_sigma, mean.shape)
    check_shape("noise", noise, mean.shape)


def _forward_fast(mean, log_sigma, noise):
    sigma, actions, log_prob = np.empty_like(mean), np.empty_like(mean), np.empty(len(mean), np.float32)
    _forward(mean, log_sigma, noise, sigma, actions, log_prob)
    return (actions, log_prob), Cache(log_sigma, sigma, noise, actions)


def _backward_fast(dactions, dlog_prob, cache):
    gradients = np.empty((3, *cache.sigma.shape), cache.sigma.dtype)
    _backward(dactions, dlog_prob, *cache, *gradients)
    return tuple(gradients)


@partial(ordered_kernel, nogil=False)  # handing Python's lock over takes longer
def _forward(mean, log_sigma, noise, sigma, actions, log_prob):
    f = np.float32
    for i in range(mean.shape[0]):
        total = f(0)
        for j in range(mean.shape[1]):
            held = min(max(log_sigma[i, j], f(-20)), f(2))
            sigma[i, j] = elementary.exp(held)
            u = mean[i, j] + sigma[i, j] * noise[i, j]
            actions[i, j] = elementary.tanh(u)
            softplus_of = max(f(-2) * u, f(0)) + elementary.log1p(elementary.exp(f(-2) * abs(u)))
            volume = f(2) * (f(0.6931472) - u - softplus_of)
            total += f(-0.5) * noise[i, j] * noise[i, j] - held - f(0.9189385) - volume  # ½ ln 2π
        log_prob[i] = total


@partial(ordered_kernel, nogil=False)
def _backward(dactions, dlog_prob, log_sigma, sigma, noise, actions, dmean, dlog_sigma, dnoise):
    kind = actions.dtype.type
    low, high = kind(-20.0), kind(2.0)
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            a = actions[i, j]
            du = dactions[i, j] * (kind(1) - a * a) + kind(2) * a * dlog_prob[i]
            dmean[i, j] = du
            inside = low < log_sigma[i, j] < high
            dlog_sigma[i, j] = du * sigma[i, j] * noise[i, j] - dlog_prob[i] if inside else kind(0)
            dnoise[i, j] = du * sigma[i, j] - noise[i, j] * dlog_prob[i]


CASES = [
    dict(mean=(5, 3), log_sigma=Uniform((5, 3), -2.0, 1.0), noise=(5, 3)),
    dict(mean=(2, 1), log_sigma=Uniform((2, 1), 2.1, 3.0), noise=(2, 1)),
    dict(mean=(4, 2), log_sigma=Uniform((4, 2), -25.0, -20.1), noise=(4, 2)),
    dict(mean=(0, 2), log_sigma=(0, 2), noise=(0, 2)),
]
