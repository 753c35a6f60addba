"""Exponential linear unit with depth α and scale λ, element by element.

Forward    y = λx for x > 0, λα(e^x − 1) elsewhere        smooth where α = 1; ends at −λα, which brings the mean near 0
Backward   y′ = λ for x > 0, λα e^x elsewhere             each piece by itself
           λα e^x = λα(e^x − 1) + λα = y + λα             no exponential a second time; y > 0 exactly where x > 0
           dx = dy·λ for y > 0, dy·(y + λα) elsewhere     each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

At the kink x = 0 (where α ≠ 1) ours is λα, as in PyTorch. Only the negative side is exponentiated, so nothing overflows.
"""

from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, ordered_kernel
from deepnp.cases import Kinked
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import elementwise


class Cache(NamedTuple):
    y: np.ndarray
    alpha: float
    scale: float


def forward(x, alpha=1.0, scale=1.0) -> tuple[np.ndarray, Cache]:
    """x (any shape), alpha ≥ 0, scale > 0 -> y of that shape."""
    xp = array_module(x)
    y = scale * xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))
    return y, Cache(y, alpha, scale)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    y, alpha, scale = cache
    return dy * array_module(y).where(y > 0, scale, y + scale * alpha)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, alpha, scale, y):
    for i in range(len(x)):
        y[i] = scale * (x[i] if x[i] > 0 else alpha * elementary.expm1(x[i] if x[i] <= 0 else x[i] * x[i]))


@ordered_kernel
def _backward(dy, y, scale, depth, dx):
    for i in range(len(y)):
        dx[i] = dy[i] * (scale if y[i] > 0 else y[i] + depth)


def _forward_fast(x, alpha, scale):
    y = elementwise(_forward, x, settings=(alpha, scale))
    return y, Cache(y, alpha, scale)


def _backward_fast(dy, cache):
    return elementwise(_backward, dy, cache.y, settings=(cache.scale, cache.scale * cache.alpha))


def _forward_on_gpu(x, alpha, scale):
    y = _forward_gpu(x, alpha, scale)
    return y, Cache(y, alpha, scale)


def _backward_on_gpu(dy, cache):
    return _backward_gpu(dy, cache.y, cache.scale, cache.scale * cache.alpha)


_forward_gpu = gpu.Elementwise("T x, T alpha, T scale", "T y", "y = scale * (x > 0 ? x : alpha * expm1(x))", "elu")
_backward_gpu = gpu.Elementwise("T dy, T y, T scale, T depth", "T dx", "dx = dy * (y > 0 ? scale : y + depth)", "elu_backward")

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, types=SINGLE)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, y_shape=lambda cache: cache.y.shape)

CASES = [
    dict(x=(5, 7)),
    dict(x=Kinked((8,), (0.0,)), alpha=0.5),
    dict(x=Kinked((2, 3, 4), (0.0,)), alpha=1.5, scale=2.0),
    dict(x=(0, 4)),
]
