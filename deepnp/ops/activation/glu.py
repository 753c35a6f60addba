"""Gated linear unit (Dauphin et al. 2017): one half of the last axis opens or closes the other.   C outputs, 2C inputs

Forward    x = (a, b)    y = a·s,  s = σ(b)
Backward   da = dy·s                                      the gate scales the gradient as it scales the value
           db = dy·a·s(1 − s)                             σ′ = σ(1 − σ)
Tangent    vy = va·s + a·s(1 − s)·vb                      the product rule
"""

import math

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, kernel_runs, ordered_kernel
from deepnp.ops.activation.sigmoid import sigmoid


def forward(x):
    """x (…, 2C) -> y (…, C)."""
    if x.dtype == np.float32 and kernel_runs(x):
        return _forward_fast(x)
    a, b = halves(x)
    s = sigmoid(b)
    return a * s, (x, s)


def backward(dy, cache):
    """dy (…, C) -> dx (…, 2C)."""
    x, s = cache
    a, _ = halves(x)
    return array_module(dy).concatenate([dy * s, dy * a * s * (1 - s)], axis=-1)


def jvp(vx, cache):
    """Tangent vx (…, 2C) -> tangent of y (…, C)."""
    x, s = cache
    (a, _), (va, vb) = halves(x), halves(vx)
    return va * s + a * s * (1 - s) * vb


def halves(x):
    """x (…, 2C) -> its two views (…, C)."""
    middle = x.shape[-1] // 2
    return x[..., :middle], x[..., middle:]


def _forward_fast(x):
    shape = (*x.shape[:-1], x.shape[-1] // 2)
    y, s = np.empty(shape, x.dtype), np.empty(shape, x.dtype)
    rows = math.prod(shape[:-1]), shape[-1]
    _forward(x.reshape(rows[0], 2, rows[1]), y.reshape(rows), s.reshape(rows))
    return y, (x, s)


@ordered_kernel
def _forward(x, y, s):
    for i in range(x.shape[0]):
        for j in range(x.shape[2]):
            s[i, j] = elementary.sigmoid(x[i, 1, j])
            y[i, j] = x[i, 0, j] * s[i, j]


CASES = [dict(x=(5, 8)), dict(x=(2,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
