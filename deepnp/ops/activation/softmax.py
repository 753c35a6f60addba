"""Softmax with temperature τ over the last axis.         B rows, C classes

Forward    S_i = e^{x_i/τ} / Σ_j e^{x_j/τ}                the largest x is subtracted first: same S, no overflow
Backward   ∂S_i/∂x_j = S_i(δ_ij − S_j)/τ                  every input moves every output, through the common denominator
           dx = S ⊙ (dy − ⟨dy, S⟩)/τ                      the thesis forgets 1/τ
Tangent    vy = S ⊙ (vx − ⟨vx, S⟩)/τ                      the Jacobian is symmetric, so forward mode is the same map
"""

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, summing_kernel
from deepnp.ops.activation import float32_runs


def forward(x, temperature=1.0):
    """x (…, C), temperature > 0 -> y (…, C), positive, summing to 1."""
    xp = array_module(x)
    if x.size == 0:
        return xp.zeros_like(x), (x, temperature)
    if float32_runs(x):
        y, shape = np.empty_like(x), (-1, x.shape[-1])
        _forward(x.reshape(shape), x.max(axis=-1).reshape(-1), np.float32(1 / temperature), y.reshape(shape))
        return y, (y, temperature)
    if gpu.rows_run(x):
        y = xp.empty_like(x)
        _forward_gpu(x, 1 / temperature, y)
        return y, (y, temperature)
    e = xp.exp((x - x.max(axis=-1, keepdims=True)) / temperature)
    y = e / e.sum(axis=-1, keepdims=True)
    return y, (y, temperature)


def backward(dy, cache):
    """dy (…, C) -> dx (…, C)."""
    y, temperature = cache
    if y.size and float32_runs(dy, y):
        dx, shape = np.empty_like(dy), (-1, dy.shape[-1])
        _backward(dy.reshape(shape), y.reshape(shape), np.float32(1 / temperature), dx.reshape(shape))
        return dx
    if gpu.rows_run(dy, y):
        dx = array_module(dy).empty_like(dy)
        _backward_gpu(dy, y, 1 / temperature, dx)
        return dx
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True)) / temperature


def jvp(vx, cache):
    """Tangent vx (…, C) -> tangent of y (…, C)."""
    return backward(vx, cache)


@summing_kernel
def _forward(x, largest, inverse, y):
    for i in range(x.shape[0]):
        total = np.float32(0)
        for j in range(x.shape[1]):
            y[i, j] = elementary.exp((x[i, j] - largest[i]) * inverse)
            total += y[i, j]
        share = np.float32(1) / total
        for j in range(x.shape[1]):
            y[i, j] *= share


@summing_kernel
def _backward(dy, y, inverse, dx):
    for i in range(dy.shape[0]):
        total = np.float32(0)
        for j in range(dy.shape[1]):
            total += dy[i, j] * y[i, j]
        for j in range(dy.shape[1]):
            dx[i, j] = y[i, j] * (dy[i, j] - total) * inverse


_forward_gpu = gpu.Rows(
    "const T* x, T inverse, T* y",
    """
    x += row * columns, y += row * columns;
    T largest = x[0], total = 0;
    for (int j = threadIdx.x; j < columns; j += THREADS) largest = x[j] > largest ? x[j] : largest;
    largest = largest_in_row(largest);
    for (int j = threadIdx.x; j < columns; j += THREADS) total += y[j] = exp((x[j] - largest) * inverse);
    total = sum_over_row(total);
    for (int j = threadIdx.x; j < columns; j += THREADS) y[j] /= total;
    """,
    "softmax_forward",
)

_backward_gpu = gpu.Rows(
    "const T* dy, const T* y, T inverse, T* dx",
    """
    dy += row * columns, y += row * columns, dx += row * columns;
    T total = 0;
    for (int j = threadIdx.x; j < columns; j += THREADS) total += dy[j] * y[j];
    total = sum_over_row(total);
    for (int j = threadIdx.x; j < columns; j += THREADS) dx[j] = y[j] * (dy[j] - total) * inverse;
    """,
    "softmax_backward",
)

CASES = [dict(x=(5, 7)), dict(x=(4, 3), temperature=0.5), dict(x=(2, 3, 4), temperature=2.0), dict(x=(3, 1)), dict(x=(0, 4))]
