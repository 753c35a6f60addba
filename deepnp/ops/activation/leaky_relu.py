"""Leaky rectifier with slope a on the negative side, element by element.

Forward    y = x for x > 0, a·x elsewhere                 a unit that is never positive still learns
Backward   y′ = 1 for x > 0, a for x < 0                  each piece by itself
           dx = dy for x > 0, a·dy elsewhere              at the kink x = 0 ours is a, as in PyTorch
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product
"""

from typing import NamedTuple

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, ordered_kernel
from deepnp.cases import Kinked
from deepnp.dispatch import accelerated
from deepnp.ops.activation import elementwise


class Cache(NamedTuple):
    x: np.ndarray
    slope: float


def forward(x, slope=0.01) -> tuple[np.ndarray, Cache]:
    """x (any shape), slope a number -> y of that shape."""
    return array_module(x).where(x > 0, x, slope * x), Cache(x, slope)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    return array_module(dy).where(cache.x > 0, dy, cache.slope * dy)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, slope, y):
    for i in range(len(x)):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


@ordered_kernel
def _backward(dy, x, slope, dx):
    for i in range(len(x)):
        dx[i] = dy[i] if x[i] > 0 else slope * dy[i]


def _forward_fast(x, slope):
    return elementwise(_forward, x, settings=(slope,)), Cache(x, slope)


def _backward_fast(dy, cache):
    return elementwise(_backward, dy, cache.x, settings=(cache.slope,))


def _forward_on_gpu(x, slope):
    return _forward_gpu(x, slope), Cache(x, slope)


def _backward_on_gpu(dy, cache):
    return _backward_gpu(dy, *cache)


_forward_gpu = gpu.Elementwise("T x, T slope", "T y", "y = x > 0 ? x : slope * x", "leaky_relu")
_backward_gpu = gpu.Elementwise("T dy, T x, T slope", "T dx", "dx = x > 0 ? dy : slope * dy", "leaky_relu_backward")

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, y_shape=lambda cache: cache.x.shape)

CASES = [
    dict(x=Kinked((5, 7), (0.0,))),
    dict(x=Kinked((8,), (0.0,)), slope=0.3),
    dict(x=Kinked((2, 3, 4), (0.0,)), slope=-1.5),
    dict(x=(0, 4)),
]
