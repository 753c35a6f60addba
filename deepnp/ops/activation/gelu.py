"""Gaussian error linear unit (Hendrycks & Gimpel 2016), exact, element by element.

Forward    y = x·Φ(x)                                     Φ(x) = ½(1 + erf(x/√2)): the probability that a normal number is below x
Backward   y′ = Φ(x) + x·Φ′(x)                            the product rule
           Φ′(x) = φ(x) = e^{−x²/2}/√(2π)                 a distribution's derivative is its density
           dx = dy·(Φ(x) + x·φ(x))                        each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, ordered_kernel
from deepnp.dispatch import SINGLE, accelerated
from deepnp.erf import erf
from deepnp.ops.activation import elementwise

DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)


class Cache(NamedTuple):
    x: np.ndarray
    below: np.ndarray  # Φ(x)


def forward(x) -> tuple[np.ndarray, Cache]:
    """x (any shape) -> y of that shape."""
    below = 0.5 * (1 + erf(x * math.sqrt(0.5)))
    return x * below, Cache(x, below)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    x, below = cache
    return dy * (below + x * DENSITY_AT_0 * array_module(x).exp(-0.5 * x * x))


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, y, below):
    for i in range(len(x)):
        below[i], _ = elementary.normal_cdf(x[i])
        y[i] = x[i] * below[i]


@ordered_kernel
def _backward(dy, x, below, dx):
    for i in range(len(x)):
        density = np.float32(DENSITY_AT_0) * elementary.exp(np.float32(-0.5) * x[i] * x[i])
        dx[i] = dy[i] * (below[i] + x[i] * density)


def _forward_fast(x):
    y, below = elementwise(_forward, x, results=2)
    return y, Cache(x, below)


def _backward_fast(dy, cache):
    return elementwise(_backward, dy, *cache)


def _forward_on_gpu(x):
    y, below = _forward_gpu(x)
    return y, Cache(x, below)


def _backward_on_gpu(dy, cache):
    return _backward_gpu(dy, *cache)


_forward_gpu = gpu.Elementwise("T x", "T y, T below", "below = T(0.5) * erfc(x * T(-0.7071067811865476)); y = x * below", "gelu")
_backward_gpu = gpu.Elementwise(
    "T dy, T x, T below",
    "T dx",
    f"dx = dy * (below + x * T({DENSITY_AT_0}) * exp(T(-0.5) * x * x))",
    "gelu_backward",
)

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, types=SINGLE)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, types=SINGLE, y_shape=lambda cache: cache.x.shape)

CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
