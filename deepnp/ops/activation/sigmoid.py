"""Logistic sigmoid, element by element.                  B rows, C columns

Forward    y = 1/(1 + e^−x)
Backward   y′ = e^−x/(1 + e^−x)²                          the chain rule through 1/u, u = 1 + e^−x
              = y·(1 − y)                                 because 1 − y = e^−x/(1 + e^−x): the output is all that backward needs
           dx = dy·y·(1 − y)                              each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

Fused with a bias (see ops.dense)
           y = σ(z + b)
           dz = dy·y·(1 − y)                              z and b only enter as their sum
           db = Σ_b dz                                    b serves every row

e^−x overflows for very negative x; with e = e^−|x| ≤ 1 both branches are safe: y = 1/(1+e) for x ≥ 0, e/(1+e) below.
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
    y = sigmoid(x)
    return y, Cache(y)


def sigmoid(x) -> np.ndarray:
    """σ(x), stable on both sides."""
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, e) / (1 + e)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    return dy * cache.y * (1 - cache.y)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


def add_bias(z, bias) -> np.ndarray:
    """σ(z + bias), written into z: z (B, C), bias (C,)."""
    z += bias
    z[...] = sigmoid(z)
    return z


def backward_bias(dy, y) -> tuple[np.ndarray, np.ndarray]:
    """dy, y (B, C) -> dz (B, C), dbias (C,)."""
    dz = backward(dy, Cache(y))
    return dz, dz.sum(axis=0)


@ordered_kernel
def _forward(x, y):
    for i in range(len(x)):
        y[i] = elementary.sigmoid(x[i])


@ordered_kernel
def _add_bias(z, bias):
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[i, j] = elementary.sigmoid(z[i, j] + bias[j])


@summing_kernel
def _backward_bias(dy, y, dz, dbias):
    one = dy.dtype.type(1)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            d = dy[i, j] * y[i, j] * (one - y[i, j])
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


STABLE = "const T e = exp(-fabs({u})); {y} = ({u} >= 0 ? T(1) : e) / (1 + e)"  # in C: y = σ(u)
_sigmoid_gpu = gpu.Elementwise("T x", "T y", STABLE.format(u="x", y="y"), "sigmoid")
_backward_gpu = gpu.Elementwise("T dy, T y", "T dx", "dx = dy * y * (1 - y)", "sigmoid_backward")
_add_bias_gpu = gpu.Elementwise("T bias", "T z", "const T u = z + bias; " + STABLE.format(u="u", y="z"), "sigmoid_add_bias")

forward = accelerated(forward, cpu=_forward_fast, types=SINGLE)
sigmoid = accelerated(sigmoid, gpu=_sigmoid_gpu)
backward = accelerated(backward, gpu=_backward_on_gpu, y_shape=lambda cache: cache.y.shape)
add_bias = accelerated(add_bias, cpu=_add_bias_fast, gpu=_add_bias_on_gpu, types=SINGLE, check=check_bias)
backward_bias = accelerated(backward_bias, cpu=partial(bias_gradient, _backward_bias), y_shape=lambda y: y.shape)

CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
