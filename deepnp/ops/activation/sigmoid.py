"""Logistic sigmoid, element by element.                  B rows, C columns

Forward    y = 1/(1 + e^−x)
Backward   dx = dy·y·(1 − y)                              σ′ = σ(1 − σ)
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product

e^−x overflows for very negative x; with e = e^−|x| ≤ 1 both branches are safe: y = 1/(1+e) for x ≥ 0, e/(1+e) below.
Fused with a bias (see ops.dense):  y = σ(z + b),  dz = dy·y·(1 − y),  db = Σ_b dz
"""

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, kernel, kernel_runs, ordered_kernel
from deepnp.ops.activation import elementwise, float32_runs, with_bias_gradient


def forward(x):
    """x (any shape) -> y of that shape."""
    y = elementwise(_forward, x) if float32_runs(x) else sigmoid(x)
    return y, y


def sigmoid(x):
    """σ(x), stable on both sides."""
    if gpu.elementwise_runs(x):
        return _sigmoid_gpu(x)
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, e) / (1 + e)


def backward(dy, cache):
    """dy -> dx."""
    if gpu.elementwise_runs(dy, cache):
        return _backward_gpu(dy, cache)
    return dy * cache * (1 - cache)


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


def add_bias(z, bias):
    """σ(z + bias), written into z: z (B, C), bias (C,)."""
    if z.dtype == np.float32 and kernel_runs(z, bias):
        _add_bias(z, bias)
        return z
    if gpu.elementwise_runs(z, bias):
        return _add_bias_gpu(bias, z)
    z += bias
    z[...] = sigmoid(z)
    return z


def backward_bias(dy, y):
    """dy, y (B, C) -> dz (B, C), dbias (C,)."""
    return with_bias_gradient(backward, _backward_bias, dy, y)


@ordered_kernel
def _forward(x, y):
    for i in range(len(x)):
        y[i] = elementary.sigmoid(x[i])


@ordered_kernel
def _add_bias(z, bias):
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[i, j] = elementary.sigmoid(z[i, j] + bias[j])


@kernel
def _backward_bias(dy, y, dz, dbias):
    one = dy.dtype.type(1)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            d = dy[i, j] * y[i, j] * (one - y[i, j])
            dz[i, j] = d
            dbias[j] += d


_STABLE = "T e = exp(-fabs(v)); {y} = (v >= 0 ? T(1) : e) / (1 + e)"
_sigmoid_gpu = gpu.Elementwise("T v", "T y", _STABLE.format(y="y"), "sigmoid")
_add_bias_gpu = gpu.Elementwise("T bias", "T z", "T v = z + bias; " + _STABLE.format(y="z"), "sigmoid_add_bias")
_backward_gpu = gpu.Elementwise("T dy, T y", "T dx", "dx = dy * y * (1 - y)", "sigmoid_backward")


CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
