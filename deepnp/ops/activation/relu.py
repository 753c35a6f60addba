"""Rectifier, element by element.                         B rows, C columns

Forward    y = max(x, 0)
Backward   y′ = 1 where x > 0, and 0 where x < 0          y is x there, and constant here
           y > 0 exactly where x > 0                      so the output is all that backward needs
           dx = dy where y > 0, 0 elsewhere               at the kink x = 0 ours is 0, as in PyTorch
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

Fused with a bias (see ops.dense)
           y = max(z + b, 0)
           dz = dy where y > 0, 0 elsewhere               z and b only enter as their sum
           db = Σ_b dz                                    b serves every row

A NaN is neither side: it passes dy on.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, ordered_kernel, summing_kernel
from deepnp.cases import Kinked
from deepnp.dispatch import accelerated
from deepnp.ops.activation import bias_gradient, check_bias


class Cache(NamedTuple):
    y: np.ndarray


def forward(x) -> tuple[np.ndarray, Cache]:
    """x (any shape) -> y of that shape."""
    y = array_module(x).maximum(x, 0)
    return y, Cache(y)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    return array_module(dy).where(cache.y <= 0, 0, dy)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


def add_bias(z, bias) -> np.ndarray:
    """max(z + bias, 0), written into z: z (B, C), bias (C,)."""
    z += bias
    return array_module(z).maximum(z, 0, out=z)


def backward_bias(dy, y) -> tuple[np.ndarray, np.ndarray]:
    """dy, y (B, C) -> dz (B, C), dbias (C,)."""
    dz = backward(dy, Cache(y))
    return dz, dz.sum(axis=0)


@ordered_kernel
def _backward(dy, y, dx):
    zero = dy.dtype.type(0)
    for i in range(len(y)):
        dx[i] = zero if y[i] <= zero else dy[i]


@ordered_kernel
def _add_bias(z, bias):
    zero = z.dtype.type(0)
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            v = z[i, j] + bias[j]
            z[i, j] = zero if v <= zero else v


@summing_kernel
def _backward_bias(dy, y, dz, dbias):
    zero = dy.dtype.type(0)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            d = zero if y[i, j] <= zero else dy[i, j]
            dz[i, j] = d
            dbias[j] += d


def _backward_fast(dy, cache):
    dx = np.empty_like(dy)
    _backward(dy.reshape(-1), cache.y.reshape(-1), dx.reshape(-1))
    return dx


def _backward_on_gpu(dy, cache):
    return _backward_gpu(dy, cache.y)


def _add_bias_fast(z, bias):
    _add_bias(z, bias)
    return z


def _add_bias_on_gpu(z, bias):
    return _add_bias_gpu(bias, z)


_backward_gpu = gpu.Elementwise("T dy, T y", "T dx", "dx = y <= 0 ? T(0) : dy", "relu_backward")
_add_bias_gpu = gpu.Elementwise("T bias", "T z", "T v = z + bias; z = v <= 0 ? T(0) : v", "relu_add_bias")

backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, y_shape=lambda cache: cache.y.shape)
add_bias = accelerated(add_bias, cpu=_add_bias_fast, gpu=_add_bias_on_gpu, check=check_bias)
backward_bias = accelerated(backward_bias, cpu=partial(bias_gradient, _backward_bias), y_shape=lambda y: y.shape)

CASES = [dict(x=Kinked((5, 7), (0.0,))), dict(x=Kinked((8,), (0.0,))), dict(x=Kinked((2, 3, 4), (0.0,))), dict(x=(0, 4))]
