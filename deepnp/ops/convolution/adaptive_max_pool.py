"""Adaptive max pooling: an output of given size from an input of any.        B samples, C channels, H × W -> P × Q

Forward    bins as in ops.convolution.adaptive_avg_pool
           y_bcpq = max of x_bc over row bin p and column bin q
Backward   y_pq equals one cell of x, the winner of its bin, and ∂y_pq/∂x_hw is 1 for that cell and 0 for all others, so
           dx_hw = Σ_pq dy_pq over the bins that the cell wins        neighbouring bins may share a cell
Tangent    vy_pq = vx at the winner of the bin

Of equal cells the first in row order wins, and a NaN wins over all numbers. A sequence is an image of height 1.
"""

from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats, check_tangent, check_upstream
from deepnp.ops.convolution import Sizes, as_image, bins


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    winner: object  # (B, C, P·Q): the number of the winning cell, in row order
    x_shape: Sizes
    shape: Sizes  # of y


def forward(x, size) -> tuple[np.ndarray, Cache]:
    """x (B, C, *input size), size a list of one number or two -> y (B, C, *size)."""
    check_floats(x)
    xp, image = array_module(x), as_image(x)
    height, width = image.shape[2:]
    winners = []
    for top, bottom in bins(height, [1, *size][-2]):
        for left, right in bins(width, size[-1]):
            cells = image[:, :, top:bottom, left:right]
            place = cells.reshape(*x.shape[:2], (bottom - top) * (right - left)).argmax(axis=2)
            winners.append((top + place // (right - left)) * width + left + place % (right - left))
    cache = Cache(xp.stack(winners, axis=2), x.shape, (*x.shape[:2], *size))
    return jvp(x, cache), cache


def backward(dy, cache) -> np.ndarray:
    """dy (B, C, *size) -> dx (B, C, *input size)."""
    check_upstream(dy, cache.shape)
    xp, (samples, channels) = array_module(dy), dy.shape[:2]
    dx, rest = xp.zeros(cache.x_shape, dy.dtype), int(np.prod(cache.x_shape[2:]))
    planes = xp.arange(samples * channels).reshape(samples, channels, 1)
    xp.add.at(dx.reshape(-1), planes * rest + cache.winner, dy.reshape(cache.winner.shape))
    return dx


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (B, C, *input size) -> tangent of y."""
    check_tangent(vx, cache.x_shape)
    cells = vx.reshape(*vx.shape[:2], int(np.prod(vx.shape[2:])))
    return array_module(vx).take_along_axis(cells, cache.winner, axis=2).reshape(cache.shape)


CASES = [
    dict(x=(2, 3, 4, 6), size=[2, 3]),
    dict(x=(2, 2, 7, 5), size=[3, 4]),
    dict(x=(1, 2, 3, 2), size=[1, 5]),
    dict(x=(2, 3, 7), size=[3]),
    dict(x=(0, 2, 4, 4), size=[2, 2]),
]
