"""Average pooling.                         B samples, C channels; t a tap of the window, n an output position

Forward    y_bcn = (1/K_n) Σ_t x̄_bc(n·stride + t)    x̄ is x with zeros around it. K_n is the number of taps where the padding
                                                     counts, else that of the cells of x among them; what a last position
                                                     sees beyond the padding (Window.ceil) never counts
Backward   ∂y_n/∂x_m = 1/K_n for every position n that reads the cell m, and 0 for all others, so
           dx_bcm = Σ_n dy_bcn/K_n                   over the positions that read it
Tangent    vy = the means of vx: the map is linear
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_tangent, check_upstream
from deepnp.ops.convolution import Sizes, Window, check_image


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    window: Window
    taps: object  # K_n: a number, or an array (*out)
    x_shape: Sizes
    shape: Sizes  # of y


def forward(x, window, count_padding=True) -> tuple[np.ndarray, Cache]:
    """x (B, C, *size) -> y (B, C, *out)."""
    check_image(x, window)
    size = x.shape[2:]
    cache = Cache(window, counts(x, window, count_padding), x.shape, (*x.shape[:2], *window.out(size)))
    return jvp(x, cache), cache


def backward(dy, cache) -> np.ndarray:
    """dy (B, C, *out) -> dx (B, C, *size)."""
    check_upstream(dy, cache.shape)
    size = cache.x_shape[2:]
    wide, share = array_module(dy).zeros((*dy.shape[:2], *cache.window.wide(size)), dy.dtype), dy / cache.taps
    for _, cells in cache.window.taps(dy.shape[2:]):
        wide[:, :, *cells] += share
    return wide[:, :, *cache.window.inner(size)]


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (B, C, *size) -> tangent of y."""
    check_tangent(vx, cache.x_shape)
    vy, wide = array_module(vx).zeros(cache.shape, vx.dtype), cache.window.padded(vx)
    for _, cells in cache.window.taps(cache.shape[2:]):
        vy += wide[:, :, *cells]
    vy /= cache.taps
    return vy


def counts(x, window, count_padding) -> np.ndarray:
    """K_n: one number where it is the same at every position, otherwise an array (*out)."""
    size = x.shape[2:]
    if count_padding and not window.ceil:
        return math.prod(window.kernel)
    xp, taps = array_module(x), array_module(x).ones((), np.int64)
    for n, positions, k, s, p in zip(size, window.out(size), window.kernel, window.stride, window.padding):
        first, last = (0, n + 2 * p) if count_padding else (p, p + n)
        begin = xp.arange(positions) * s
        taps = taps[..., None] * (xp.minimum(begin + k, last) - xp.maximum(begin, first))
    return taps.astype(x.dtype)


CASES = [
    dict(x=(2, 3, 4, 6), window=Window((2, 2), stride=2)),
    dict(x=(2, 2, 7, 6), window=Window((3, 2), (2, 1), (1, 1))),
    dict(x=(3, 2, 9), window=Window((3,), stride=2, padding=1)),
    dict(x=(2, 1, 5), window=Window((5,))),
    dict(x=(2, 2, 6, 5), window=Window((3, 2), 2, 1, ceil=True)),
    dict(x=(2, 2, 6, 5), window=Window((3, 2), 2, 1, ceil=True), count_padding=False),
    dict(x=(3, 2, 9), window=Window((3,), stride=2, padding=1), count_padding=False),
    dict(x=(0, 2, 4, 4), window=Window((2, 2), stride=2)),
]
