"""Softmax with temperature τ over the last axis.         B rows, C classes

Forward    S_i = e^{x_i/τ} / Σ_j e^{x_j/τ}                the largest x is subtracted first: same S, no overflow
Backward   ln S_i = x_i/τ − ln Σ_j e^{x_j/τ}
           ∂ln S_i/∂x_j = (δ_ij − S_j)/τ                  x_i itself, and every x_j through the common denominator
           ∂S_i/∂x_j = S_i(δ_ij − S_j)/τ                  because ∂S = S·∂ln S
           dx_j = Σ_i dy_i S_i(δ_ij − S_j)/τ              summed over all outputs that x_j reaches
                = S_j(dy_j − ⟨dy, S⟩)/τ                   ⟨dy, S⟩ = Σ_i dy_i S_i, a number for each row
Tangent    vy = S ⊙ (vx − ⟨vx, S⟩)/τ                      the Jacobian is symmetric, so forward mode is the same map
"""

from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, summing_kernel
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import check_rows


class Cache(NamedTuple):
    y: np.ndarray
    temperature: float


def forward(x, temperature=1.0) -> tuple[np.ndarray, Cache]:
    """x (…, C), temperature > 0 -> y (…, C), positive, summing to 1."""
    xp = array_module(x)
    if x.size == 0:
        return xp.zeros_like(x), Cache(xp.zeros_like(x), temperature)
    e = xp.exp((x - x.max(axis=-1, keepdims=True)) / temperature)
    y = e / e.sum(axis=-1, keepdims=True)
    return y, Cache(y, temperature)


def backward(dy, cache) -> np.ndarray:
    """dy (…, C) -> dx (…, C)."""
    y, temperature = cache
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True)) / temperature


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
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


def _check(x, temperature):
    check_rows(x)


def _forward_fast(x, temperature):
    if not _is_usual(temperature):
        return None
    y, shape = np.empty_like(x), (-1, x.shape[-1])
    _forward(x.reshape(shape), x.max(axis=-1).reshape(-1), np.float32(1 / temperature), y.reshape(shape))
    return y, Cache(y, temperature)


def _backward_fast(dy, cache):
    y, temperature = cache
    if not _is_usual(temperature):
        return None
    dx, shape = np.empty_like(dy), (-1, dy.shape[-1])
    _backward(dy.reshape(shape), y.reshape(shape), np.float32(1 / temperature), dx.reshape(shape))
    return dx


def _is_usual(temperature) -> bool:
    return 1e-30 < temperature < 1e30  # 1/τ is a number in float32


def _forward_on_gpu(x, temperature):
    y = array_module(x).empty_like(x)
    _forward_gpu(x, 1 / temperature, y)
    return y, Cache(y, temperature)


def _backward_on_gpu(dy, cache):
    dx = array_module(dy).empty_like(dy)
    _backward_gpu(dy, cache.y, 1 / cache.temperature, dx)
    return dx


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

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, types=SINGLE, check=_check)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, types=SINGLE, y_shape=lambda cache: cache.y.shape)

CASES = [dict(x=(5, 7)), dict(x=(4, 3), temperature=0.5), dict(x=(2, 3, 4), temperature=2.0), dict(x=(3, 1)), dict(x=(0, 4))]
