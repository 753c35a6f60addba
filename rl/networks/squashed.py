"""A Gaussian squashed into (−1, 1): drawing actions through which gradients flow.

Forward    σ = e^ℓ        u = μ + σξ        a = tanh u                 ξ ~ N(0, I) is given: the reparametrisation
           ln π(a) = Σ_j [−½ξ² − ℓ − ½ ln 2π − ln(1 − tanh²u)]_j       the last term is the change of volume under tanh
           ln(1 − tanh²u) = 2(ln 2 − u − softplus(−2u))                stable: 1 − tanh² rounds to 0 at |u| > 9
Backward   du = da·(1 − a²) + 2a·dlnπ                                  −d ln(1 − tanh²u)/du = 2 tanh u
           dμ = du                                                     ξ is constant, so ½ξ² adds nothing
           dℓ = du·σξ − dlnπ                                           u moves with σ; −ℓ is in ln π itself
           (the thesis's Eq. 38 has the sign of the Gaussian's part wrong, and Alg. 13 l.36 loses −dlnπ: σ collapses)

ℓ is held in [−20, 2]; outside, its gradient is 0.

Shapes: B rows, A action dimensions.
"""

import math
from functools import partial

import numpy as np

from deepnp import elementary
from deepnp.backend import kernel, kernel_runs, ordered_kernel
from deepnp.ops.activation import softplus

LOG_SIGMA_MIN, LOG_SIGMA_MAX = -20.0, 2.0


def forward(mean, log_sigma, noise):
    """mean, log_sigma, noise (B, A) -> (actions (B, A), log_prob (B,)), cache."""
    if mean.dtype == np.float32 and mean.shape == log_sigma.shape == noise.shape and kernel_runs(mean, log_sigma, noise):
        sigma, actions, log_prob = np.empty_like(mean), np.empty_like(mean), np.empty(len(mean), np.float32)
        _forward(mean, log_sigma, noise, sigma, actions, log_prob)
        return (actions, log_prob), (log_sigma, sigma, noise, actions)
    held = np.clip(log_sigma, LOG_SIGMA_MIN, LOG_SIGMA_MAX)
    sigma = np.exp(held)
    u = mean + sigma * noise
    actions = np.tanh(u)
    volume = 2 * (math.log(2) - u - softplus.forward(-2 * u)[0])
    log_prob = (-0.5 * noise * noise - held - 0.5 * math.log(2 * math.pi) - volume).sum(axis=-1)
    return (actions, log_prob), (log_sigma, sigma, noise, actions)


def backward(dy, cache):
    """dy = (dactions (B, A), dlog_prob (B,)) -> dmean (B, A), dlog_sigma (B, A)."""
    (dactions, dlog_prob), (log_sigma, sigma, noise, actions) = dy, cache
    if kernel_runs(dactions, dlog_prob, log_sigma, sigma, noise, actions):
        dmean, dlog_sigma = np.empty_like(sigma), np.empty_like(sigma)
        _backward(dactions, dlog_prob, log_sigma, sigma, noise, actions, dmean, dlog_sigma)
        return dmean, dlog_sigma
    du = dactions * (1 - actions * actions) + 2 * actions * dlog_prob[:, None]
    free = (log_sigma > LOG_SIGMA_MIN) & (log_sigma < LOG_SIGMA_MAX)
    return du, (du * sigma * noise - dlog_prob[:, None]) * free


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


@partial(kernel, nogil=False)
def _backward(dactions, dlog_prob, log_sigma, sigma, noise, actions, dmean, dlog_sigma):
    kind = actions.dtype.type
    low, high = kind(-20.0), kind(2.0)
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            a = actions[i, j]
            du = dactions[i, j] * (kind(1) - a * a) + kind(2) * a * dlog_prob[i]
            dmean[i, j] = du
            inside = low < log_sigma[i, j] < high
            dlog_sigma[i, j] = du * sigma[i, j] * noise[i, j] - dlog_prob[i] if inside else kind(0)
