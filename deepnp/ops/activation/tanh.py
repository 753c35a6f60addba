"""Hyperbolic tangent, element by element.                B rows, C columns

Forward    y = tanh x = s/c                               s = ½(e^x − e^−x), c = ½(e^x + e^−x): s′ = c, c′ = s
Backward   y′ = (c·c − s·s)/c² = 1 − y²                   the quotient rule: the output is all that backward needs
           dx = dy·(1 − y²)                               each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

Fused with a bias (see ops.dense)
           y = tanh(z + b)
           dz = dy·(1 − y²)                               z and b only enter as their sum
           db = Σ_b dz                                    b serves every row

The float32 kernels
           tanh x = E/(E + 2),  E = e^{2x} − 1  (deepnp.elementary): a relative error of 2e-7 everywhere. Three times as fast as
           NumPy's tanh, which would cost as much as the matrix product before it.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, ordered_kernel, summing_kernel
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import bias_gradient, check_bias, elementwise


class Cache(NamedTuple):
    y: np.ndarray


def forward(x) -> tuple[np.ndarray, Cache]:
    """x (any shape) -> y of that shape."""
    y = array_module(x).tanh(x)
    return y, Cache(y)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    return dy * (1 - cache.y * cache.y)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


def add_bias(z, bias) -> np.ndarray:
    """tanh(z + bias), written into z: z (B, C), bias (C,)."""
    z += bias
    return array_module(z).tanh(z, out=z)


def backward_bias(dy, y) -> tuple[np.ndarray, np.ndarray]:
    """dy, y (B, C) -> dz (B, C), dbias (C,)."""
    dz = backward(dy, Cache(y))
    return dz, dz.sum(axis=0)


@ordered_kernel
def _forward(x, y):
    for i in range(len(x)):
        y[i] = elementary.tanh(x[i])


@ordered_kernel
def _add_bias(z, bias):
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[i, j] = elementary.tanh(z[i, j] + bias[j])


@summing_kernel
def _backward_bias(dy, y, dz, dbias):
    one = dy.dtype.type(1)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            d = dy[i, j] * (one - y[i, j] * y[i, j])
            dz[i, j] = d
            dbias[j] += d


def _forward_fast(x):
    y = elementwise(_forward, x)
    return y, Cache(y)


def _backward_on_gpu(dy, cache):
    return _backward_gpu(dy, cache.y)


def _add_bias_fast(z, bias):
    _add_bias(z, bias)
    return z


def _add_bias_on_gpu(z, bias):
    return _add_bias_gpu(bias, z)


_backward_gpu = gpu.Elementwise("T dy, T y", "T dx", "dx = dy * (1 - y * y)", "tanh_backward")
_add_bias_gpu = gpu.Elementwise("T bias", "T z", "z = tanh(z + bias)", "tanh_add_bias")

forward = accelerated(forward, cpu=_forward_fast, types=SINGLE)
backward = accelerated(backward, gpu=_backward_on_gpu, y_shape=lambda cache: cache.y.shape)
add_bias = accelerated(add_bias, cpu=_add_bias_fast, gpu=_add_bias_on_gpu, types=SINGLE, check=check_bias)
backward_bias = accelerated(backward_bias, cpu=partial(bias_gradient, _backward_bias), y_shape=lambda y: y.shape)

CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
