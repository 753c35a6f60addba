"""Leaky rectifier whose slopes are learned.               B rows, C channels: axis 1, where x has one; … what follows it

Forward    y = x for x > 0, a_c·x elsewhere               one slope for each channel, or one for all
Backward   ∂y/∂x = 1 for x > 0, a_c for x < 0             each piece by itself
           ∂y/∂a_c = 0 for x > 0, x elsewhere = min(x, 0)
           dx = dy for x > 0, a_c·dy elsewhere            at the kink x = 0 ours is a_c, as in PyTorch
           da_c = Σ dy·min(x, 0)                          over all elements that slope c served
Tangent    vy = ∂y/∂x·vx + min(x, 0)·va_c                 the same two partial derivatives, summed

The kernels see rows of columns, each column with its slope: a channel's slope is repeated, and the repeats' gradients summed.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module, ordered_kernel, summing_kernel
from deepnp.cases import Kinked
from deepnp.checks import check_tangent
from deepnp.dispatch import accelerated


class Cache(NamedTuple):
    x: np.ndarray
    weight: np.ndarray


def forward(x, weight) -> tuple[np.ndarray, Cache]:
    """x (C,) or (B, C, …), weight (C,) or (1,) -> y of x's shape."""
    return array_module(x).where(x > 0, x, along_channels(weight, x) * x), Cache(x, weight)


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray]:
    """dy (as x) -> dx (as x), dweight (C,) or (1,)."""
    x, weight = cache
    xp = array_module(dy)
    dx = xp.where(x > 0, dy, along_channels(weight, x) * dy)
    return dx, over_channels(dy * xp.minimum(x, 0), weight)


def jvp(vx, vweight, cache) -> np.ndarray:
    """Tangents vx (as x), vweight (C,) or (1,) -> tangent of y."""
    x, weight = cache
    check_tangent(vx, x.shape)
    check_tangent(vweight, weight.shape)
    xp = array_module(x)
    return xp.where(x > 0, vx, along_channels(weight, x) * vx) + along_channels(vweight, x) * xp.minimum(x, 0)


def along_channels(weight, x) -> np.ndarray:
    """weight (C,) as (C, 1, …), which stretches along x's axis 1; (1,) stretches as it is."""
    return weight if len(weight) == 1 else weight.reshape(-1, *(1,) * (x.ndim - 2))


def over_channels(shares, weight) -> np.ndarray:
    """The sum of shares (C,) or (B, C, …) that belong to each weight: (C,), or (1,) for a weight of all."""
    if len(weight) == 1:
        return shares.sum().reshape(1)
    return shares.sum(axis=tuple(axis for axis in range(shares.ndim) if axis != 1))


def check_channels(x, weight, name: str) -> None:
    """A ValueError unless weight is (1,), or (C,) for x (B, C, …)."""
    fits = weight.ndim == 1 and x.ndim > 0 and (len(weight) == 1 or (x.ndim > 1 and len(weight) == x.shape[1]))
    if not fits:
        raise ValueError(f"expected {name} (1,), or (C,) for x of shape (B, C, …), given {weight.shape} for x {x.shape}")


@ordered_kernel
def _forward(x, slopes, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] if x[i, j] > 0 else slopes[j] * x[i, j]


@summing_kernel
def _backward(dy, x, slopes, dx, dslopes):
    zero = x.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = dy[i, j] if x[i, j] > zero else slopes[j] * dy[i, j]
            dslopes[j] += dy[i, j] * (zero if x[i, j] > zero else x[i, j])


def _check(x, weight):
    check_channels(x, weight, "weight")


def _as_rows(x):
    rows = len(x) if x.ndim > 1 else 1
    return x.reshape(rows, math.prod(x.shape[1:]) if x.ndim > 1 else len(x))


def _forward_fast(x, weight):
    y, rows = np.empty_like(x), _as_rows(x)
    _forward(rows, np.repeat(weight, rows.shape[1] // len(weight)), y.reshape(rows.shape))
    return y, Cache(x, weight)


def _backward_fast(dy, cache):
    x, weight = cache
    dx, rows = np.empty_like(x), _as_rows(x)
    slopes = np.repeat(weight, rows.shape[1] // len(weight))
    dslopes = np.zeros_like(slopes)
    _backward(dy.reshape(rows.shape), rows, slopes, dx.reshape(rows.shape), dslopes)
    return dx, dslopes.reshape(len(weight), -1).sum(axis=1)


forward = accelerated(forward, cpu=_forward_fast, check=_check)
backward = accelerated(backward, cpu=_backward_fast, y_shape=lambda cache: cache.x.shape)

CASES = [
    dict(x=Kinked((5, 7), (0.0,)), weight=(7,)),
    dict(x=Kinked((5, 7), (0.0,)), weight=(1,)),
    dict(x=Kinked((8,), (0.0,)), weight=(1,)),
    dict(x=Kinked((2, 3, 4, 2), (0.0,)), weight=(3,)),
    dict(x=(0, 4), weight=(4,)),
]
