"""Randomised leaky rectifier: each element has a slope a of its own, which the layer draws from U(lower, upper).

Forward    y = x for x > 0, a·x elsewhere                 noise on the negative side only: it regularises as dropout does
Backward   y′ = 1 for x > 0, a for x < 0                  each piece by itself; the slopes are given, not learned
           dx = dy for x > 0, a·dy elsewhere              at the kink x = 0 ours is a
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

In inference the layer is `leaky_relu` with the mean slope (Xu et al. 2015).
"""

from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module, ordered_kernel
from deepnp.cases import Kinked
from deepnp.checks import check_shape
from deepnp.dispatch import accelerated
from deepnp.ops.activation import elementwise


class Cache(NamedTuple):
    x: np.ndarray
    slopes: np.ndarray


def forward(x, slopes) -> tuple[np.ndarray, Cache]:
    """x, slopes (any one shape) -> y of that shape."""
    return array_module(x).where(x > 0, x, slopes * x), Cache(x, slopes)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    return array_module(dy).where(cache.x > 0, dy, cache.slopes * dy)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, slopes, y):
    for i in range(len(x)):
        y[i] = x[i] if x[i] > 0 else slopes[i] * x[i]


@ordered_kernel
def _backward(dy, x, slopes, dx):
    for i in range(len(x)):
        dx[i] = dy[i] if x[i] > 0 else slopes[i] * dy[i]


def _forward_fast(x, slopes):
    return elementwise(_forward, x, slopes), Cache(x, slopes)


def _backward_fast(dy, cache):
    return elementwise(_backward, dy, *cache)


forward = accelerated(forward, cpu=_forward_fast, check=lambda x, slopes: check_shape("slopes", slopes, x.shape))
backward = accelerated(backward, cpu=_backward_fast, y_shape=lambda cache: cache.x.shape)

CASES = [
    dict(x=Kinked((5, 7), (0.0,)), slopes=np.linspace(0.125, 0.3, 35, dtype=np.float32).reshape(5, 7)),
    dict(x=Kinked((8,), (0.0,)), slopes=np.linspace(-1, 1, 8, dtype=np.float32)),
    dict(x=Kinked((2, 3, 4), (0.0,)), slopes=np.linspace(0, 0.5, 24, dtype=np.float32).reshape(2, 3, 4)),
    dict(x=(0, 4), slopes=np.zeros((0, 4), np.float32)),
]
