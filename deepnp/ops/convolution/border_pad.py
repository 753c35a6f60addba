"""An image or a sequence continued beyond its border by cells of its own.      B samples, C channels

Forward    along each axis of n cells, the cell of y at `place`, counted from x's first cell, reads the cell source(place) of x:
             reflected     d c b | a b c d e | d c b     |place|, beyond the far edge 2(n − 1) − place; no edge cell twice
             replicated    a a a | a b c d e | e e e     the nearest cell, min(max(place, 0), n − 1)
             circular      c d e | a b c d e | a b c     place mod n, as on a ring
           one axis after the other, so corners are continued twice
Backward   every cell of y is a copy of one cell of x, so dx_m = Σ dy_place over all places with source(place) = m: what the cell
           hands on directly, and the cells of the border that were read from it
           the axes in the opposite order: the transpose of a product has its factors in the opposite order
Tangent    vy is vx continued: the map is linear

A mirror or a ring holds so much: padding is less than the size where reflected, at most the size where circular.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_tangent, check_upstream
from deepnp.ops.convolution import Sizes


def reflected(place, n) -> np.ndarray:
    """The cell that `place` reads in a mirror."""
    return abs(place) if place < n else 2 * (n - 1) - place


def replicated(place, n) -> np.ndarray:
    """The nearest cell."""
    return min(max(place, 0), n - 1)


def circular(place, n) -> np.ndarray:
    """The cell on a ring."""
    return place % n


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    padding: list[Sizes]
    source: Callable[[int, int], int]
    x_shape: Sizes
    shape: Sizes  # of y


def forward(x, padding, source) -> tuple[np.ndarray, Cache]:
    """x (B, C, *size), padding a (before, after) for each axis of `size`, source of the three -> y (B, C, *larger)."""
    check_border(x, padding, source)
    y = extend(x, padding, source)
    return y, Cache(padding, source, x.shape, y.shape)


def backward(dy, cache) -> np.ndarray:
    """dy (B, C, *larger) -> dx (B, C, *size)."""
    check_upstream(dy, cache.shape)
    dx = dy
    for axis, (before, after) in reversed(list(enumerate(cache.padding, start=2))):
        leading, n = (slice(None),) * axis, cache.x_shape[axis]
        inner = dx[(*leading, slice(before, before + n))].copy()
        for place in itertools.chain(range(-before, 0), range(n, n + after)):
            inner[(*leading, cache.source(place, n))] += dx[(*leading, before + place)]
        dx = inner
    return dx


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (B, C, *size) -> tangent of y."""
    check_tangent(vx, cache.x_shape)
    return extend(vx, cache.padding, cache.source)


def extend(x, padding, source) -> np.ndarray:
    """x (B, C, *size) with its border (B, C, *larger)."""
    xp = array_module(x)
    for axis, (before, after) in enumerate(padding, start=2):
        n = x.shape[axis]
        x = xp.take(x, xp.asarray([source(place, n) for place in range(-before, n + after)], np.intp), axis=axis)
    return x


def least_size(padding, source) -> Sizes:
    """The smallest size of x for this padding."""
    beyond = {reflected: 1, replicated: None, circular: 0}[source]
    return tuple(1 if beyond is None else max(1, max(pair) + beyond) for pair in padding)


def check_border(x, padding, source) -> None:
    """Raise ValueError unless x (B, C, *size) can be continued so far."""
    least = least_size(padding, source)
    if len(x.shape) != 2 + len(padding) or any(n < m for n, m in zip(x.shape[2:], least)):
        raise ValueError(f"expected (B, C, *size) with a size of at least {least} for padding {padding}, given {x.shape}")


CASES = [
    dict(x=(2, 3, 4, 3), padding=[(1, 2), (2, 0)], source=reflected),
    dict(x=(2, 3, 5), padding=[(4, 3)], source=reflected),
    dict(x=(2, 3, 4, 3), padding=[(1, 2), (5, 0)], source=replicated),
    dict(x=(2, 3, 4, 3), padding=[(1, 2), (3, 0)], source=circular),
    dict(x=(2, 3, 5), padding=[(4, 5)], source=circular),
    dict(x=(0, 3, 4, 2), padding=[(1, 1), (1, 1)], source=reflected),
]
