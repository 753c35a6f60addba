"""Adaptive average pooling: an output of given size from an input of any.        B samples, C channels, H × W -> P × Q

Forward    bin p of P over an axis of H cells: from ⌊pH/P⌋ up to ⌈(p+1)H/P⌉; neighbours share a cell where P does not divide H
           y_bcpq = mean of x_bc over row bin p and column bin q
           y = R x Sᵀ           R (P, H) holds 1/length in bin p's cells and 0 elsewhere, S (Q, W) the same for columns:
                                the mean over a rectangle is the mean of the means of its rows
Backward   ∂y_pq/∂x_hw = R_ph S_qw, so dx_hw = Σ_pq dy_pq R_ph S_qw
           dx = Rᵀ dy S         the map is linear: its transpose
Tangent    vy = R vx Sᵀ

A sequence is an image of height 1.
"""

from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats, check_tangent, check_upstream
from deepnp.ops.convolution import Sizes, as_image, bins


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    rows: object  # R (P, H)
    columns: object  # S (Q, W)
    x_shape: Sizes
    shape: Sizes  # of y


def forward(x, size) -> tuple[np.ndarray, Cache]:
    """x (B, C, *input size), size a list of one number or two -> y (B, C, *size)."""
    check_floats(x)
    rows, columns = (means(array_module(x), n, count, x.dtype) for n, count in zip(as_image(x).shape[2:], [1, *size][-2:]))
    cache = Cache(rows, columns, x.shape, (*x.shape[:2], *size))
    return jvp(x, cache), cache


def backward(dy, cache) -> np.ndarray:
    """dy (B, C, *size) -> dx (B, C, *input size)."""
    check_upstream(dy, cache.shape)
    return (cache.rows.T @ as_image(dy) @ cache.columns).reshape(cache.x_shape)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (B, C, *input size) -> tangent of y."""
    check_tangent(vx, cache.x_shape)
    return (cache.rows @ as_image(vx) @ cache.columns.T).reshape(cache.shape)


def means(xp, cells, count, dtype) -> np.ndarray:
    """The matrix (count, cells) that averages over each bin."""
    matrix = xp.zeros((count, cells), dtype)
    for p, (first, last) in enumerate(bins(cells, count)):
        matrix[p, first:last] = 1 / (last - first)
    return matrix


CASES = [
    dict(x=(2, 3, 4, 6), size=[2, 3]),
    dict(x=(2, 2, 7, 5), size=[3, 4]),
    dict(x=(1, 2, 3, 2), size=[1, 5]),
    dict(x=(2, 3, 7), size=[3]),
    dict(x=(0, 2, 4, 4), size=[2, 2]),
]
