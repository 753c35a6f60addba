"""Zeros around an image or a sequence.     B samples, C channels

Forward    y is x, with `padding` cells of zero before and after it on each axis
Backward   dx is dy without its border: each cell of x went to one place, and the zeros do not depend on x
Tangent    vy is vx with zeros around it: the map is linear
"""

from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_tangent, check_upstream
from deepnp.ops.convolution import Sizes


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    inside: tuple[slice, ...]
    x_shape: Sizes
    shape: Sizes  # of y


def forward(x, padding) -> tuple[np.ndarray, Cache]:
    """x (B, C, *size), padding a (before, after) for each axis of `size` -> y (B, C, *larger)."""
    if x.ndim != 2 + len(padding):
        raise ValueError(f"expected x of {2 + len(padding)} axes for padding {padding}, given {x.shape}")
    shape = (*x.shape[:2], *(a + n + b for n, (a, b) in zip(x.shape[2:], padding)))
    cache = Cache((slice(None), slice(None), *(slice(a, a + n) for n, (a, _) in zip(x.shape[2:], padding))), x.shape, shape)
    return jvp(x, cache), cache


def backward(dy, cache) -> np.ndarray:
    """dy (B, C, *larger) -> dx (B, C, *size)."""
    check_upstream(dy, cache.shape)
    return dy[cache.inside].copy()


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (B, C, *size) -> tangent of y."""
    check_tangent(vx, cache.x_shape)
    vy = array_module(vx).zeros(cache.shape, vx.dtype)
    vy[cache.inside] = vx
    return vy


CASES = [
    dict(x=(2, 3, 4, 2), padding=[(1, 2), (0, 3)]),
    dict(x=(2, 3, 5), padding=[(2, 0)]),
    dict(x=(0, 3, 4, 2), padding=[(1, 1), (1, 1)]),
]
