"""Sinusoidal positions (Vaswani et al. 2017).        T positions, D channels

Forward    y_t = x_t + p_t        p_{t,2i} = sin(ω_i t)    p_{t,2i+1} = cos(ω_i t)    ω_i = base^{−2i/D}
Backward   ∂y/∂x is the identity: the table does not depend on x, so
           dx = dy
Tangent    vy = vx

Attention sees a set: without p it cannot tell positions apart. The wavelengths grow geometrically from 2π to 2π·base, and
p_{t+k} is a rotation of p_t that depends on k alone, so "k steps back" is a linear map. An odd D drops the last cosine.
"""

from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats, check_tangent, check_upstream
from deepnp.ops.embedding import angles


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    shape: tuple[int, ...]  # of x and y


def forward(x, start=0, base=10000.0) -> tuple[np.ndarray, Cache]:
    """x (…, T, D), position of the first of the T -> y (…, T, D)."""
    check_floats(x)
    xp, (steps, channels), theta = array_module(x), x.shape[-2:], angles(x, start, base)
    table = xp.stack((xp.sin(theta), xp.cos(theta)), axis=-1).reshape(steps, -1)[:, :channels]
    return x + table.astype(x.dtype), Cache(x.shape)


def backward(dy, cache) -> np.ndarray:
    """dy (…, T, D) -> dx (…, T, D)."""
    check_upstream(dy, cache.shape)
    return dy


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (…, T, D) -> tangent of y."""
    check_tangent(vx, cache.shape)
    return vx


CASES = [dict(x=(2, 5, 4)), dict(x=(3, 7), start=11, base=50.0), dict(x=(0, 5, 4))]
