"""Sigmoid linear unit, or swish, element by element.

Forward    y = x·s,  s = σ(x)                             x passes a gate that x itself opens
Backward   y′ = s + x·s′                                  the product rule
           s′ = s(1 − s)                                  see sigmoid.py
           dx = dy·s(1 + x(1 − s))                        each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product
"""

from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import ordered_kernel
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import elementwise
from deepnp.ops.activation.sigmoid import STABLE, sigmoid


class Cache(NamedTuple):
    x: np.ndarray
    s: np.ndarray  # σ(x)


def forward(x) -> tuple[np.ndarray, Cache]:
    """x (any shape) -> y of that shape."""
    s = sigmoid(x)
    return x * s, Cache(x, s)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    x, s = cache
    return dy * s * (1 + x * (1 - s))


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, y, s):
    for i in range(len(x)):
        s[i] = elementary.sigmoid(x[i])
        y[i] = x[i] * s[i]


@ordered_kernel
def _backward(dy, x, s, dx):
    one = np.float32(1)
    for i in range(len(x)):
        dx[i] = dy[i] * s[i] * (one + x[i] * (one - s[i]))


def _forward_fast(x):
    y, s = elementwise(_forward, x, results=2)
    return y, Cache(x, s)


def _backward_fast(dy, cache):
    return elementwise(_backward, dy, *cache)


def _forward_on_gpu(x):
    y, s = _forward_gpu(x)
    return y, Cache(x, s)


def _backward_on_gpu(dy, cache):
    return _backward_gpu(dy, *cache)


_forward_gpu = gpu.Elementwise("T x", "T y, T s", STABLE.format(u="x", y="s") + "; y = x * s", "silu")
_backward_gpu = gpu.Elementwise("T dy, T x, T s", "T dx", "dx = dy * s * (1 + x * (1 - s))", "silu_backward")

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, types=SINGLE)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, types=SINGLE, y_shape=lambda cache: cache.x.shape)

CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
