"""Layer normalisation over the last axis.                B rows, C channels

Forward    μ = mean_c x    σ = √(var_c x + ε)    x̂ = (x − μ)/σ    y = γ·x̂ + β
Backward   dγ = Σ_b dy·x̂        dβ = Σ_b dy                 γ and β serve every row
           dx̂ = γ·dy
           dσ = −Σ_c dx̂·x̂ / σ                               σ divides every x_c − μ of its row: ∂x̂_c/∂σ = −x̂_c/σ
           dμ = −Σ_c dx̂ / σ                                 μ is subtracted from every x_c; its way through σ is zero: Σ(x − μ) = 0
           ∂μ/∂x_c = 1/C        ∂σ/∂x_c = x̂_c/C             σ² = mean_c (x − μ)² + ε, so 2σ ∂σ/∂x_c = 2(x_c − μ)/C
           dx = dx̂/σ + dμ/C + dσ·x̂/C                        directly, through μ, through σ; collected:
              = (dx̂ − mean_c dx̂ − x̂·mean_c(dx̂·x̂)) / σ
Tangent    vx̂ = (vx − mean_c vx − x̂·mean_c(vx·x̂)) / σ       the same map: the Jacobian of x̂ is symmetric
           vy = γ·vx̂ + vγ·x̂ + vβ                            the product rule

The variance is the biased one (÷ C), in two passes; ε stands inside the root, once.
x̂ is not kept: backward has it from x, μ and σ for less than it costs to write and read.
`scale` is None but for rows whose squares would overflow; these are divided by it, and so is their dx.
"""

from typing import NamedTuple

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, ordered_kernel, summing_kernel
from deepnp.checks import check_tangent
from deepnp.dispatch import accelerated
from deepnp.ops.normalization import check_last, divided, fit_squares


class Cache(NamedTuple):
    x: np.ndarray  # (…, C), divided by scale
    mean: np.ndarray  # (…, 1)
    sigma: np.ndarray  # (…, 1)
    gamma: np.ndarray  # (C,)
    scale: np.ndarray | None = None  # (…, 1), of rows whose squares would overflow; None where no row does


def forward(x, gamma, beta, eps=1e-5) -> tuple[np.ndarray, Cache]:
    """x (…, C), gamma (C,), beta (C,) -> y (…, C)."""
    x, eps, scale = fit_squares(x, eps, -1)
    mean = x.mean(axis=-1, keepdims=True)
    centred = x - mean
    sigma = array_module(x).sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    return gamma * (centred / sigma) + beta, Cache(x, mean, sigma, gamma, scale)


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dy (…, C) -> dx (…, C), dgamma (C,), dbeta (C,)."""
    x, mean, sigma, gamma, scale = cache
    normal, dnormal = (x - mean) / sigma, gamma * dy
    dx = (dnormal - dnormal.mean(axis=-1, keepdims=True) - normal * (dnormal * normal).mean(axis=-1, keepdims=True)) / sigma
    rows = tuple(range(dy.ndim - 1))
    return divided(dx, scale), (dy * normal).sum(axis=rows), dy.sum(axis=rows)


def jvp(vx, vgamma, vbeta, cache) -> np.ndarray:
    """Tangents vx (…, C), vgamma (C,), vbeta (C,) -> tangent of y (…, C)."""
    x, mean, sigma, gamma, scale = cache
    for tangent, argument in ((vx, x), (vgamma, gamma), (vbeta, gamma)):
        check_tangent(tangent, argument.shape)
    normal, vx = (x - mean) / sigma, divided(vx, scale)
    vnormal = (vx - vx.mean(axis=-1, keepdims=True) - normal * (vx * normal).mean(axis=-1, keepdims=True)) / sigma
    return gamma * vnormal + vgamma * normal + vbeta


def _check(x, gamma, beta, eps):
    if not x.shape[-1:] == gamma.shape == beta.shape or not x.ndim:
        check_last(x, gamma, beta)


def _forward_fast(x, gamma, beta, eps):
    channels = x.shape[-1]
    y, mean, sigma = np.empty_like(x), np.empty((*x.shape[:-1], 1), x.dtype), np.empty((*x.shape[:-1], 1), x.dtype)
    vectors = gamma.reshape(1, channels), beta.reshape(1, channels)
    if forward_rows(x.reshape(-1, channels), *vectors, eps, y.reshape(-1, channels), mean.ravel(), sigma.ravel()):
        return None
    return y, Cache(x, mean, sigma, gamma)


def _backward_fast(dy, cache):
    x, mean, sigma, gamma, scale = cache
    if scale is not None:
        return None
    channels = dy.shape[-1]
    dx, dgamma, dbeta = np.empty_like(dy), np.zeros_like(gamma), np.zeros_like(gamma)
    given = dy.reshape(-1, channels), x.reshape(-1, channels), mean.ravel(), sigma.ravel()
    group = (1, channels)
    backward_rows(*given, gamma.reshape(group), dx.reshape(-1, channels), dgamma.reshape(group), dbeta.reshape(group))
    return dx, dgamma, dbeta


@summing_kernel
def forward_rows(x, gamma, beta, eps, y, mean, sigma) -> bool:
    """x (B, C), gamma and beta (G, C): row i takes group i mod G, so that ops.normalization.group_norm can come here too.

    -> whether squares of finite values overflowed: then y is wrong.
    """
    kind, groups, channels = x.dtype.type, gamma.shape[0], x.shape[1]
    share = kind(1.0 / channels)
    for i in range(x.shape[0]):
        g = i % groups
        total, squares = kind(0), kind(0)
        for j in range(channels):
            total += x[i, j]
        centre = total * share
        for j in range(channels):
            squares += (x[i, j] - centre) * (x[i, j] - centre)
        root = kind(np.sqrt(squares * share + eps))
        mean[i], sigma[i] = centre, root
        inverse = kind(1) / root
        for j in range(channels):
            y[i, j] = gamma[g, j] * ((x[i, j] - centre) * inverse) + beta[g, j]
    return overflowed(x, sigma)


@ordered_kernel
def overflowed(x, sigma) -> bool:
    """Whether the sigma of a row of finite values is not finite."""
    found = False
    for i in range(len(sigma)):
        if not sigma[i] < np.inf:
            found |= np.isfinite(x[i]).all()
    return found


@summing_kernel
def backward_rows(dy, x, mean, sigma, gamma, dx, dgamma, dbeta) -> None:
    """The shapes of forward_rows; dgamma and dbeta (G, C) are added to. Short loops, because a long one is not vectorised."""
    kind, groups, channels = dy.dtype.type, gamma.shape[0], dy.shape[1]
    share = kind(1.0 / channels)
    for i in range(dy.shape[0]):
        g, centre, inverse = i % groups, mean[i], kind(1) / sigma[i]
        total, product = kind(0), kind(0)
        for j in range(channels):
            d = gamma[g, j] * dy[i, j]
            total += d
            product += d * (x[i, j] - centre)
        first, second = total * share, product * share * inverse * inverse
        for j in range(channels):
            dx[i, j] = (gamma[g, j] * dy[i, j] - first - (x[i, j] - centre) * second) * inverse
        for j in range(channels):
            dgamma[g, j] += dy[i, j] * ((x[i, j] - centre) * inverse)
        for j in range(channels):
            dbeta[g, j] += dy[i, j]


def _forward_on_gpu(x, gamma, beta, eps):
    xp, rows = array_module(x), (*x.shape[:-1], 1)
    y, mean, sigma = xp.empty_like(x), xp.empty(rows, x.dtype), xp.empty(rows, x.dtype)
    _forward_gpu(x, gamma, beta, eps, y, mean, sigma)
    return y, Cache(x, mean, sigma, gamma)


def _backward_on_gpu(dy, cache):
    x, mean, sigma, gamma, scale = cache
    if scale is not None:
        return None
    dx = array_module(dy).empty_like(dy)
    _backward_gpu(dy, x, mean, sigma, gamma, dx)
    return dx, *_parameters_gpu(dy.reshape(-1, dy.shape[-1]), x, mean, sigma)


_NORMAL = "(({x} / 2 - {mean} / 2) / ({sigma} / 2))"  # in C: x̂; halves, because x − μ overflows for the largest x

_forward_gpu = gpu.Rows(
    "const T* x, const T* gamma, const T* beta, T eps, T* y, T* mean, T* sigma",
    """
    x += row * columns, y += row * columns;
    T scale = 1, centre, root;
    for (;;) {
        T total = 0, squares = 0;
        for (int j = threadIdx.x; j < columns; j += THREADS) total += x[j] * scale;
        centre = sum_over_row(total) / columns;
        for (int j = threadIdx.x; j < columns; j += THREADS) squares += (x[j] * scale - centre) * (x[j] * scale - centre);
        root = sqrt(sum_over_row(squares) / columns + (scale < 1 ? larger(eps * scale * scale, SMALLEST) : eps));
        if (scale < 1 || isfinite(root)) break;
        scale = TINY;  // squares overflowed: once more, with smaller numbers
    }
    for (int j = threadIdx.x; j < columns; j += THREADS) y[j] = gamma[j] * ((x[j] * scale - centre) / root) + beta[j];
    if (threadIdx.x == 0) mean[row] = centre / scale, sigma[row] = root / scale;
    """,
    "layer_norm_forward",
)

_backward_gpu = gpu.Rows(
    "const T* dy, const T* x, const T* mean, const T* sigma, const T* gamma, T* dx",
    """
    dy += row * columns, x += row * columns, dx += row * columns;
    const T centre = mean[row], root = sigma[row];
    T first = 0, second = 0;
    for (int j = threadIdx.x; j < columns; j += THREADS) {
        first += gamma[j] * dy[j];
        second += gamma[j] * dy[j] * NORMAL;
    }
    first = sum_over_row(first) / columns, second = sum_over_row(second) / columns;
    for (int j = threadIdx.x; j < columns; j += THREADS) dx[j] = (gamma[j] * dy[j] - first - NORMAL * second) / root;
    """.replace("NORMAL", _NORMAL.format(x="x[j]", mean="centre", sigma="root")),
    "layer_norm_backward",
)

_parameters_gpu = gpu.Channels(
    "const T* dy, const T* x, const T* mean, const T* sigma",
    f"sums[0] += dy[cell] * {_NORMAL.format(x='x[cell]', mean='mean[b]', sigma='sigma[b]')}, sums[1] += dy[cell];",
    "layer_norm_parameters",
    count=2,
)

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, check=_check)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, y_shape=lambda cache: cache.x.shape)

CASES = [
    dict(x=(5, 7), gamma=(7,), beta=(7,)),
    dict(x=(2, 3, 4), gamma=(4,), beta=(4,), eps=0.1),
    dict(x=(3, 2), gamma=(2,), beta=(2,)),
    dict(x=(9, 40), gamma=(40,), beta=(40,)),
    dict(x=(0, 4), gamma=(4,), beta=(4,)),
]
