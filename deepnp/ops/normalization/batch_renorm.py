"""Batch renormalisation (Ioffe 2017).                    B batch, C channels, S places, m = B·S; μ, σ, r, d, γ, β are (C,)

Forward    x̂ = (x − μ)/σ, with the batch's μ and σ as in batch normalisation
           y = γ·(r·x̂ + d) + β
             = γ′·x̂ + β′,  γ′ = γ·r,  β′ = γ·d + β          batch normalisation with another scale and shift
Backward   dx, dγ′, dβ′                                     from batch_norm.py
           dγ = r·dγ′ + d·dβ′                               γ is in γ′ = γ·r and in β′ = γ·d + β
           dr = γ·dγ′        dd = γ·dβ′        dβ = dβ′     each of these is in one of them
Tangent    vγ′ = vγ·r + γ·vr                                the product rule, and then batch_norm.py's tangent
           vβ′ = vγ·d + γ·vd + vβ

Correction r = clip(σ/σ_run, 1/r_max, r_max)      d = clip((μ − μ_run)/σ_run, −d_max, d_max)      σ_run = √(var_run + ε)

Inside the limits r·x̂ + d = (x − μ_run)/σ_run: training sees what inference will see. Ioffe's backward holds r and d constant,
although they come from the batch, so a caller that wants his method drops dr and dd. With r = 1, d = 0 it is batch normalisation.
"""

from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_tangent
from deepnp.dispatch import accelerated
from deepnp.ops.normalization import batch_norm, check_channels


class Cache(NamedTuple):
    inner: batch_norm.Cache
    gamma: np.ndarray  # (C,)
    r: np.ndarray  # (C,)
    d: np.ndarray  # (C,)


def forward(x, gamma, beta, r, d, eps=1e-5) -> tuple[np.ndarray, Cache]:
    """x (B, C, …), gamma (C,), beta (C,), r (C,), d (C,) -> y (B, C, …)."""
    y, inner = batch_norm.forward(x, gamma * r, gamma * d + beta, eps)
    return y, Cache(inner, gamma, r, d)


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """dy (B, C, …) -> dx (B, C, …), dgamma (C,), dbeta (C,), dr (C,), dd (C,)."""
    inner, gamma, r, d = cache
    dx, dscale, dshift = batch_norm.backward(dy, inner)
    return dx, r * dscale + d * dshift, dshift, gamma * dscale, gamma * dshift


def jvp(vx, vgamma, vbeta, vr, vd, cache) -> np.ndarray:
    """Tangents vx (B, C, …), vgamma, vbeta, vr, vd (C,) -> tangent of y (B, C, …)."""
    inner, gamma, r, d = cache
    for tangent in (vgamma, vbeta, vr, vd):
        check_tangent(tangent, gamma.shape)
    return batch_norm.jvp(vx, vgamma * r + gamma * vr, vgamma * d + gamma * vd + vbeta, inner)


def correction(mean, variance, running_mean, running_variance, r_max, d_max, eps=1e-5) -> tuple[np.ndarray, np.ndarray]:
    """Moments of the batch and running ones, all (C,); r_max >= 1, d_max >= 0 -> r (C,), d (C,)."""
    xp = array_module(mean)
    sigma = xp.sqrt(running_variance + eps)
    r = xp.clip(xp.sqrt(variance + eps) / sigma, 1 / r_max, r_max)
    return r, xp.clip((mean - running_mean) / sigma, -d_max, d_max)


def _check(x, gamma, beta, r, d, eps):
    check_channels(x, gamma, beta, r, d)


forward = accelerated(forward, check=_check)

CASES = [
    dict(x=(5, 3), gamma=(3,), beta=(3,), r=(3,), d=(3,)),
    dict(x=(3, 2, 4), gamma=(2,), beta=(2,), r=(2,), d=(2,), eps=0.1),
    dict(x=(2, 3, 2, 2), gamma=(3,), beta=(3,), r=(3,), d=(3,)),
    dict(x=(0, 4), gamma=(4,), beta=(4,), r=(4,), d=(4,)),
]
