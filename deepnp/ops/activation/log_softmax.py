"""Logarithm of softmax over the last axis.               B rows, C classes

Forward    y_i = x_i − ln Σ_j e^{x_j}                     the largest x is subtracted first: same y, no overflow, and no log of 0
Backward   ∂y_i/∂x_j = δ_ij − S_j,  S = e^y               every input is in the sum that all outputs share
           dx = dy − S·Σ_i dy_i
Tangent    vy = vx − Σ_j S_j vx_j                         the Jacobian is not symmetric: backward sums dy, forward mode averages vx
"""

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, ordered_kernel, summing_kernel
from deepnp.ops.activation import float32_runs


def forward(x):
    """x (…, C) -> y (…, C), all ≤ 0, whose exponentials sum to 1."""
    xp = array_module(x)
    if x.size == 0:
        y = xp.zeros_like(x)
    elif float32_runs(x):
        y, shape = np.empty_like(x), (-1, x.shape[-1])
        _forward(x.reshape(shape), x.max(axis=-1).reshape(-1), y.reshape(shape))
    else:
        shifted = x - x.max(axis=-1, keepdims=True)
        y = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    return y, y


def backward(dy, cache):
    """dy (…, C) -> dx (…, C)."""
    if cache.size and float32_runs(dy, cache):
        dx, shape = np.empty_like(dy), (-1, dy.shape[-1])
        _backward(dy.reshape(shape), cache.reshape(shape), dx.reshape(shape))
        return dx
    return dy - array_module(cache).exp(cache) * dy.sum(axis=-1, keepdims=True)


def jvp(vx, cache):
    """Tangent vx (…, C) -> tangent of y (…, C)."""
    return vx - (array_module(cache).exp(cache) * vx).sum(axis=-1, keepdims=True)


@ordered_kernel
def _forward(x, largest, y):
    for i in range(x.shape[0]):
        log_sum = np.log(_sum_of_exponentials(x[i], largest[i]))
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - largest[i]) - log_sum  # largest + log_sum would lose the digits of the latter


@summing_kernel
def _sum_of_exponentials(row, largest):
    total = np.float32(0)
    for j in range(len(row)):
        total += elementary.exp(row[j] - largest)
    return total


@summing_kernel
def _backward(dy, y, dx):
    for i in range(dy.shape[0]):
        total = np.float32(0)
        for j in range(dy.shape[1]):
            total += dy[i, j]
        for j in range(dy.shape[1]):
            dx[i, j] = dy[i, j] - elementary.exp(y[i, j]) * total


CASES = [dict(x=(5, 7)), dict(x=(6,)), dict(x=(2, 3, 4)), dict(x=(3, 1)), dict(x=(0, 4))]
