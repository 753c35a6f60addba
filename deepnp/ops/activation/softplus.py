"""Softplus with sharpness β and scale ψ, element by element.

Forward    y = (ψ/β)·ln(1 + e^{βx})                       a smooth max(x, 0): positive, as a standard deviation must be
Backward   y′ = (ψ/β)·β e^{βx}/(1 + e^{βx})               the chain rule: ln, then 1 + e^u, then u = βx
              = ψ·σ(βx)                                   β cancels, and e^u/(1 + e^u) = 1/(1 + e^{−u})
           dx = dy·ψ·σ(βx)                                each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

Stable form: ln(1 + e^u) = max(u, 0) + log1p(e^{−|u|}).
"""

from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, ordered_kernel
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import elementwise
from deepnp.ops.activation.sigmoid import STABLE, sigmoid


class Cache(NamedTuple):
    x: np.ndarray
    beta: float
    scale: float


def forward(x, beta=1.0, scale=1.0) -> tuple[np.ndarray, Cache]:
    """x (any shape), beta > 0, scale > 0 -> y of that shape."""
    return (scale / beta) * softplus(beta * x), Cache(x, beta, scale)


def softplus(u) -> np.ndarray:
    """ln(1 + e^u), stable on both sides."""
    xp = array_module(u)
    return xp.maximum(u, 0) + xp.log1p(xp.exp(-xp.abs(u)))


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    x, beta, scale = cache
    return dy * (scale * sigmoid(beta * x))


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, beta, factor, y):
    for i in range(len(x)):
        u = beta * x[i]
        y[i] = factor * (max(u, np.float32(0)) + elementary.log1p(elementary.exp(-abs(u))))


@ordered_kernel
def _backward(dy, x, beta, scale, dx):
    for i in range(len(x)):
        dx[i] = dy[i] * (scale * elementary.sigmoid(beta * x[i]))


def _forward_fast(x, beta, scale):
    return elementwise(_forward, x, settings=(beta, scale / beta)), Cache(x, beta, scale)


def _backward_fast(dy, cache):
    return elementwise(_backward, dy, cache.x, settings=(cache.beta, cache.scale))


def _forward_on_gpu(x, beta, scale):
    return _forward_gpu(x, beta, scale / beta), Cache(x, beta, scale)


def _backward_on_gpu(dy, cache):
    return _backward_gpu(dy, *cache)


SOFTPLUS = "(({u} > 0 ? {u} : T(0)) + log1p(exp(-fabs({u}))))"  # in C, of u
_forward_gpu = gpu.Elementwise(
    "T x, T beta, T factor", "T y", "const T u = beta * x; y = factor * " + SOFTPLUS.format(u="u"), "softplus"
)
_backward_gpu = gpu.Elementwise(
    "T dy, T x, T beta, T scale",
    "T dx",
    "const T u = beta * x; T s; " + STABLE.format(u="u", y="s") + "; dx = dy * (scale * s)",
    "softplus_backward",
)

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, types=SINGLE)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, types=SINGLE, y_shape=lambda cache: cache.x.shape)

CASES = [dict(x=(5, 7)), dict(x=(4,), beta=2.0, scale=0.5), dict(x=(2, 3, 4), beta=0.5), dict(x=(0, 4))]
