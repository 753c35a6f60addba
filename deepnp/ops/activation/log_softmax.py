"""Logarithm of softmax over the last axis.               B rows, C classes

Forward    y_i = x_i − ln Σ_j e^{x_j}                     the largest x is subtracted first: same y, no overflow, and no log of 0
Backward   ∂y_i/∂x_j = δ_ij − e^{x_j}/Σ_k e^{x_k}         x_i itself, and every x_j through the sum that all outputs share
                     = δ_ij − S_j,  S = e^y
           dx_j = Σ_i dy_i(δ_ij − S_j)                    summed over all outputs that x_j reaches
                = dy_j − S_j·Σ_i dy_i
Tangent    vy_i = Σ_j (δ_ij − S_j) vx_j                   summed over all inputs: the Jacobian is not symmetric
                = vx_i − Σ_j S_j vx_j                     backward sums dy, forward mode averages vx
"""

from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, ordered_kernel, summing_kernel
from deepnp.checks import check_tangent
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import check_rows


class Cache(NamedTuple):
    y: np.ndarray


def forward(x) -> tuple[np.ndarray, Cache]:
    """x (…, C) -> y (…, C), all ≤ 0, whose exponentials sum to 1."""
    xp = array_module(x)
    if x.size == 0:
        return xp.zeros_like(x), Cache(xp.zeros_like(x))
    shifted = x - x.max(axis=-1, keepdims=True)
    y = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    return y, Cache(y)


def backward(dy, cache) -> np.ndarray:
    """dy (…, C) -> dx (…, C)."""
    return dy - array_module(dy).exp(cache.y) * dy.sum(axis=-1, keepdims=True)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (…, C) -> tangent of y (…, C)."""
    check_tangent(vx, cache.y.shape)
    return vx - (array_module(vx).exp(cache.y) * vx).sum(axis=-1, keepdims=True)


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


def _forward_fast(x):
    y, shape = np.empty_like(x), (-1, x.shape[-1])
    _forward(x.reshape(shape), x.max(axis=-1).reshape(-1), y.reshape(shape))
    return y, Cache(y)


def _backward_fast(dy, cache):
    dx, shape = np.empty_like(dy), (-1, dy.shape[-1])
    _backward(dy.reshape(shape), cache.y.reshape(shape), dx.reshape(shape))
    return dx


def _forward_on_gpu(x):
    y = array_module(x).empty_like(x)
    _forward_gpu(x, y)
    return y, Cache(y)


def _backward_on_gpu(dy, cache):
    dx = array_module(dy).empty_like(dy)
    _backward_gpu(dy, cache.y, dx)
    return dx


_forward_gpu = gpu.Rows(
    "const T* x, T* y",
    """
    x += row * columns, y += row * columns;
    T largest = x[0], total = 0;
    for (int j = threadIdx.x; j < columns; j += THREADS) largest = larger(largest, x[j]);
    largest = largest_in_row(largest);
    for (int j = threadIdx.x; j < columns; j += THREADS) total += exp(x[j] - largest);
    const T log_sum = log(sum_over_row(total));
    for (int j = threadIdx.x; j < columns; j += THREADS) y[j] = (x[j] - largest) - log_sum;
    """,
    "log_softmax_forward",
)

_backward_gpu = gpu.Rows(
    "const T* dy, const T* y, T* dx",
    """
    dy += row * columns, y += row * columns, dx += row * columns;
    T total = 0;
    for (int j = threadIdx.x; j < columns; j += THREADS) total += dy[j];
    total = sum_over_row(total);
    for (int j = threadIdx.x; j < columns; j += THREADS) dx[j] = dy[j] - exp(y[j]) * total;
    """,
    "log_softmax_backward",
)

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, types=SINGLE, check=check_rows)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, types=SINGLE, y_shape=lambda cache: cache.y.shape)

CASES = [dict(x=(5, 7)), dict(x=(6,)), dict(x=(2, 3, 4)), dict(x=(3, 1)), dict(x=(0, 4))]
