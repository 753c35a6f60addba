"""Root-mean-square normalisation over the last axis (Zhang & Sennrich 2019).        B rows, C channels

Forward    ρ = √(mean_c x² + ε)    x̂ = x/ρ    y = γ·x̂
Backward   dγ = Σ_b dy·x̂                                    γ serves every row
           dx̂ = γ·dy
           dρ = −Σ_c dx̂·x̂ / ρ                               ρ divides every x_c of its row: ∂x̂_c/∂ρ = −x̂_c/ρ
           ∂ρ/∂x_c = x̂_c/C                                  ρ² = mean x² + ε, so 2ρ·∂ρ = 2x_c/C
           dx = dx̂/ρ + dρ·x̂/C                               directly, and through ρ; collected:
              = (dx̂ − x̂·mean_c(dx̂·x̂)) / ρ                   nothing is centred, so one mean and not two
Tangent    vx̂ = (vx − x̂·mean_c(vx·x̂)) / ρ                   the same map: the Jacobian of x̂ is symmetric
           vy = γ·vx̂ + vγ·x̂                                 the product rule

Layer normalisation without its mean and without β: it keeps the invariance to scale and gives up the one to shift.
"""

from typing import NamedTuple

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, summing_kernel
from deepnp.checks import check_tangent
from deepnp.dispatch import accelerated
from deepnp.ops.normalization import check_last, divided, fit_squares
from deepnp.ops.normalization.layer_norm import overflowed


class Cache(NamedTuple):
    x: np.ndarray  # (…, C), divided by scale
    rho: np.ndarray  # (…, 1)
    gamma: np.ndarray  # (C,)
    scale: np.ndarray | None = None  # (…, 1), of rows whose squares would overflow; None where no row does


def forward(x, gamma, eps=1e-6) -> tuple[np.ndarray, Cache]:
    """x (…, C), gamma (C,) -> y (…, C)."""
    x, eps, scale = fit_squares(x, eps, -1, centred=False)
    rho = array_module(x).sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    return gamma * (x / rho), Cache(x, rho, gamma, scale)


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray]:
    """dy (…, C) -> dx (…, C), dgamma (C,)."""
    x, rho, gamma, scale = cache
    normal, dnormal = x / rho, gamma * dy
    dx = (dnormal - normal * (dnormal * normal).mean(axis=-1, keepdims=True)) / rho
    return divided(dx, scale), (dy * normal).sum(axis=tuple(range(dy.ndim - 1)))


def jvp(vx, vgamma, cache) -> np.ndarray:
    """Tangents vx (…, C), vgamma (C,) -> tangent of y (…, C)."""
    x, rho, gamma, scale = cache
    check_tangent(vx, x.shape)
    check_tangent(vgamma, gamma.shape)
    normal, vx = x / rho, divided(vx, scale)
    return gamma * (vx - normal * (vx * normal).mean(axis=-1, keepdims=True)) / rho + vgamma * normal


@summing_kernel
def _forward(x, gamma, eps, y, rho):
    kind, channels = x.dtype.type, x.shape[1]
    for i in range(x.shape[0]):
        squares = kind(0)
        for j in range(channels):
            squares += x[i, j] * x[i, j]
        root = kind(np.sqrt(squares / channels + eps))
        rho[i] = root
        inverse = kind(1) / root
        for j in range(channels):
            y[i, j] = gamma[j] * (x[i, j] * inverse)
    return overflowed(x, rho)


@summing_kernel
def _backward(dy, x, rho, gamma, dx, dgamma):
    kind, channels = dy.dtype.type, dy.shape[1]
    for i in range(dy.shape[0]):
        product, inverse = kind(0), kind(1) / rho[i]
        for j in range(channels):
            product += gamma[j] * dy[i, j] * x[i, j]
        mean = product * kind(1.0 / channels) * inverse * inverse
        for j in range(channels):
            dx[i, j] = (gamma[j] * dy[i, j] - x[i, j] * mean) * inverse
        for j in range(channels):
            dgamma[j] += dy[i, j] * (x[i, j] * inverse)


def _check(x, gamma, eps):
    if gamma.shape != x.shape[-1:] or not x.ndim:
        check_last(x, gamma)


def _forward_fast(x, gamma, eps):
    channels = x.shape[-1]
    y, rho = np.empty_like(x), np.empty((*x.shape[:-1], 1), x.dtype)
    if _forward(x.reshape(-1, channels), gamma, eps, y.reshape(-1, channels), rho.ravel()):
        return None
    return y, Cache(x, rho, gamma)


def _backward_fast(dy, cache):
    x, rho, gamma, scale = cache
    if scale is not None:
        return None
    channels = dy.shape[-1]
    dx, dgamma = np.empty_like(dy), np.zeros_like(gamma)
    _backward(dy.reshape(-1, channels), x.reshape(-1, channels), rho.ravel(), gamma, dx.reshape(-1, channels), dgamma)
    return dx, dgamma


def _forward_on_gpu(x, gamma, eps):
    y, rho = array_module(x).empty_like(x), array_module(x).empty((*x.shape[:-1], 1), x.dtype)
    _forward_gpu(x, gamma, eps, y, rho)
    return y, Cache(x, rho, gamma)


def _backward_on_gpu(dy, cache):
    x, rho, gamma, scale = cache
    if scale is not None:
        return None
    dx = array_module(dy).empty_like(dy)
    _backward_gpu(dy, x, rho, gamma, dx)
    return dx, _dgamma_gpu(dy.reshape(-1, dy.shape[-1]), x, rho)[0]


_forward_gpu = gpu.Rows(
    "const T* x, const T* gamma, T eps, T* y, T* rho",
    """
    x += row * columns, y += row * columns;
    T scale = 1, root;
    for (;;) {
        T squares = 0;
        for (int j = threadIdx.x; j < columns; j += THREADS) squares += (x[j] * scale) * (x[j] * scale);
        root = sqrt(sum_over_row(squares) / columns + (scale < 1 ? larger(eps * scale * scale, SMALLEST) : eps));
        if (scale < 1 || isfinite(root)) break;
        scale = TINY;  // squares overflowed: once more, with smaller numbers
    }
    for (int j = threadIdx.x; j < columns; j += THREADS) y[j] = gamma[j] * (x[j] * scale / root);
    if (threadIdx.x == 0) rho[row] = root / scale;
    """,
    "rms_norm_forward",
)

_backward_gpu = gpu.Rows(
    "const T* dy, const T* x, const T* rho, const T* gamma, T* dx",
    """
    dy += row * columns, x += row * columns, dx += row * columns;
    const T root = rho[row];
    T mean = 0;
    for (int j = threadIdx.x; j < columns; j += THREADS) mean += gamma[j] * dy[j] * (x[j] / root);
    mean = sum_over_row(mean) / columns;
    for (int j = threadIdx.x; j < columns; j += THREADS) dx[j] = (gamma[j] * dy[j] - x[j] / root * mean) / root;
    """,
    "rms_norm_backward",
)

_dgamma_gpu = gpu.Channels("const T* dy, const T* x, const T* rho", "sums[0] += dy[cell] * (x[cell] / rho[b]);", "rms_norm_dgamma")

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, check=_check)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, y_shape=lambda cache: cache.x.shape)

CASES = [
    dict(x=(5, 7), gamma=(7,)),
    dict(x=(2, 3, 4), gamma=(4,), eps=0.1),
    dict(x=(3, 1), gamma=(1,)),
    dict(x=(9, 40), gamma=(40,)),
    dict(x=(0, 4), gamma=(4,)),
]
