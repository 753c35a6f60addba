"""Mish (Misra 2019), element by element.

Forward    y = x·t,  t = tanh(p),  p = ln(1 + e^x)        p is softplus x
Backward   y′ = t + x·t′                                  the product rule
           t′ = (1 − t²)·p′                               the chain rule, tanh′ = 1 − tanh²
           p′ = e^x/(1 + e^x) = σ(x)                      the chain rule again
           dx = dy·(t + x(1 − t²)σ(x))                    each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

The float32 kernel
           tanh(ln z) = (z² − 1)/(z² + 1), so with e = e^x and z = 1 + e:  t = w/(w + 2),  w = e(e + 2).
           No logarithm, and no cancellation for negative x. Beyond x = 20 t is 1.
"""

from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, ordered_kernel
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import elementwise
from deepnp.ops.activation.sigmoid import STABLE, sigmoid
from deepnp.ops.activation.softplus import SOFTPLUS, softplus


class Cache(NamedTuple):
    x: np.ndarray
    t: np.ndarray  # tanh(softplus x)


def forward(x) -> tuple[np.ndarray, Cache]:
    """x (any shape) -> y of that shape."""
    t = array_module(x).tanh(softplus(x))
    return x * t, Cache(x, t)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    x, t = cache
    return dy * (t + x * (1 - t * t) * sigmoid(x))


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, y, t):
    f = np.float32
    for i in range(len(x)):
        e = elementary.exp(min(x[i], f(20)))
        w = e * (e + f(2))
        t[i] = w / (w + f(2))
        y[i] = x[i] * t[i]


@ordered_kernel
def _backward(dy, x, t, dx):
    one = np.float32(1)
    for i in range(len(x)):
        dx[i] = dy[i] * (t[i] + x[i] * (one - t[i] * t[i]) * elementary.sigmoid(x[i]))


def _forward_fast(x):
    y, t = elementwise(_forward, x, results=2)
    return y, Cache(x, t)


def _backward_fast(dy, cache):
    return elementwise(_backward, dy, *cache)


def _forward_on_gpu(x):
    y, t = _forward_gpu(x)
    return y, Cache(x, t)


def _backward_on_gpu(dy, cache):
    return _backward_gpu(dy, *cache)


_forward_gpu = gpu.Elementwise("T x", "T y, T t", "t = tanh(" + SOFTPLUS.format(u="x") + "); y = x * t", "mish")
_backward_gpu = gpu.Elementwise(
    "T dy, T x, T t",
    "T dx",
    "T s; " + STABLE.format(u="x", y="s") + "; dx = dy * (t + x * (1 - t * t) * s)",
    "mish_backward",
)

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, types=SINGLE)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, types=SINGLE, y_shape=lambda cache: cache.x.shape)

CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
