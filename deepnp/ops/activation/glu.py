"""Gated linear unit (Dauphin et al. 2017): one half of the last axis opens or closes the other.   C outputs, 2C inputs

Forward    x = (a, b)    y = a·s,  s = σ(b)
Backward   ∂y/∂a = s                                      the gate scales the gradient as it scales the value
           ∂y/∂b = a·s(1 − s)                             the chain rule, σ′ = σ(1 − σ)
           da = dy·s        db = dy·a·s(1 − s)            each pair (a_i, b_i) reaches its own y_i only
Tangent    vy = s·va + a·s(1 − s)·vb                      the same two partial derivatives, summed
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, ordered_kernel
from deepnp.checks import check_tangent
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation.sigmoid import sigmoid


class Cache(NamedTuple):
    x: np.ndarray  # (…, 2C)
    s: np.ndarray  # (…, C), σ(b)


def forward(x) -> tuple[np.ndarray, Cache]:
    """x (…, 2C) -> y (…, C)."""
    a, b = halves(x)
    s = sigmoid(b)
    return a * s, Cache(x, s)


def backward(dy, cache) -> np.ndarray:
    """dy (…, C) -> dx (…, 2C)."""
    (a, _), s = halves(cache.x), cache.s
    return array_module(dy).concatenate([dy * s, dy * a * s * (1 - s)], axis=-1)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (…, 2C) -> tangent of y (…, C)."""
    check_tangent(vx, cache.x.shape)
    (a, _), (va, vb), s = halves(cache.x), halves(vx), cache.s
    return va * s + a * s * (1 - s) * vb


def halves(x) -> tuple[np.ndarray, np.ndarray]:
    """x (…, 2C) -> its two views (…, C)."""
    middle = x.shape[-1] // 2
    return x[..., :middle], x[..., middle:]


@ordered_kernel
def _forward(x, y, s):
    for i in range(x.shape[0]):
        for j in range(x.shape[2]):
            s[i, j] = elementary.sigmoid(x[i, 1, j])
            y[i, j] = x[i, 0, j] * s[i, j]


def _check(x):
    if x.ndim == 0 or x.shape[-1] % 2:
        raise ValueError(f"expected input of shape (…, 2C), an even last axis, given {x.shape}")


def _forward_fast(x):
    shape = (*x.shape[:-1], x.shape[-1] // 2)
    y, s = np.empty(shape, x.dtype), np.empty(shape, x.dtype)
    rows = math.prod(shape[:-1]), shape[-1]
    _forward(x.reshape(rows[0], 2, rows[1]), y.reshape(rows), s.reshape(rows))
    return y, Cache(x, s)


forward = accelerated(forward, cpu=_forward_fast, types=SINGLE, check=_check)
backward = accelerated(backward, y_shape=lambda cache: cache.s.shape)

CASES = [dict(x=(5, 8)), dict(x=(2,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
