"""Gaussian error linear unit, its usual approximation by tanh, element by element.

Forward    y = ½x(1 + tanh u),  u = √(2/π)(x + 0.044715 x³)
             = x·s,  s = σ(2u)                            because ½(1 + tanh u) = σ(2u)
Backward   y′ = s + x·s′                                  the product rule
           s′ = s(1 − s)·2u′                              the chain rule, σ′ = σ(1 − σ)
           u′ = √(2/π)(1 + 3·0.044715 x²)                 the inner derivative
           dx = dy·s·(1 + x(1 − s)·2u′)                   each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

At most 5e-4 from the exact form (gelu.py); GPT-2 uses this one. Beyond |x| = 20 s is 0 or 1 and s′ is 0: x is bounded there
before it is squared, because ∞·0 would be NaN.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, ordered_kernel
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import elementwise
from deepnp.ops.activation.sigmoid import STABLE, sigmoid

ROOT = math.sqrt(2 / math.pi)
CUBIC = 0.044715
BOUND = 20.0


class Cache(NamedTuple):
    x: np.ndarray
    s: np.ndarray  # σ(2u)


def forward(x) -> tuple[np.ndarray, Cache]:
    """x (any shape) -> y of that shape."""
    bounded = array_module(x).clip(x, -BOUND, BOUND)
    s = sigmoid(2 * ROOT * bounded * (1 + CUBIC * bounded * bounded))
    return x * s, Cache(x, s)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    x, s = cache
    x = array_module(x).clip(x, -BOUND, BOUND)
    return dy * s * (1 + x * (1 - s) * 2 * ROOT * (1 + 3 * CUBIC * x * x))


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, y, s):
    f = np.float32
    for i in range(len(x)):
        v = min(max(x[i], f(-BOUND)), f(BOUND))
        s[i] = elementary.sigmoid(f(2 * ROOT) * v * (f(1) + f(CUBIC) * v * v))
        y[i] = x[i] * s[i]


@ordered_kernel
def _backward(dy, x, s, dx):
    f = np.float32
    for i in range(len(x)):
        v = min(max(x[i], f(-BOUND)), f(BOUND))
        inner = f(2 * ROOT) * (f(1) + f(3 * CUBIC) * v * v)
        dx[i] = dy[i] * s[i] * (f(1) + v * (f(1) - s[i]) * inner)


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


_BOUNDED = f"const T v = x < {-BOUND} ? T({-BOUND}) : x > {BOUND} ? T({BOUND}) : x; "
_forward_gpu = gpu.Elementwise(
    "T x",
    "T y, T s",
    _BOUNDED + f"const T u = T({2 * ROOT}) * v * (1 + T({CUBIC}) * v * v); " + STABLE.format(u="u", y="s") + "; y = x * s",
    "gelu_tanh",
)
_backward_gpu = gpu.Elementwise(
    "T dy, T x, T s",
    "T dx",
    _BOUNDED + f"dx = dy * s * (1 + v * (1 - s) * T({2 * ROOT}) * (1 + T({3 * CUBIC}) * v * v))",
    "gelu_tanh_backward",
)

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, types=SINGLE)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, types=SINGLE, y_shape=lambda cache: cache.x.shape)

CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
