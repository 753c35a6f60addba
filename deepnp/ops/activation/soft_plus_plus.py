"""Soft++ (Ciuparu et al. 2020), a softplus whose two shapes are learned.        B rows, C channels: axis 1; … what follows it

Forward    y = ln(1 + e^{kx}) + x/c − ln 2                bent by k, tilted by 1/c, y(0) = 0; one pair for each channel, or for all
Backward   ∂y/∂x = k·e^{kx}/(1 + e^{kx}) + 1/c            the chain rule: ln, then 1 + e^u, then u = kx
                 = k·σ(kx) + 1/c                          e^u/(1 + e^u) = 1/(1 + e^{−u}) = σ(u)
           ∂y/∂k = x·σ(kx)                                u = kx has x as its slope in k
           ∂y/∂c = −x/c²                                  the second term alone
           dx = dy·(k_c·σ(k_c x) + 1/c_c)                 each x_i reaches its own y_i only
           dk_c = Σ dy·x·σ(k_c x)                         over all elements that channel c served
           dc_c = −Σ dy·x/c_c²                            the same
Tangent    vy = ∂y/∂x·vx + x·σ(kx)·vk − x/c²·vc           the three partial derivatives, summed
"""

from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.cases import Uniform
from deepnp.checks import check_tangent
from deepnp.dispatch import accelerated
from deepnp.ops.activation.prelu import along_channels, check_channels, over_channels
from deepnp.ops.activation.sigmoid import sigmoid
from deepnp.ops.activation.softplus import softplus


class Cache(NamedTuple):
    x: np.ndarray
    k: np.ndarray
    c: np.ndarray


def forward(x, k, c) -> tuple[np.ndarray, Cache]:
    """x (C,) or (B, C, …), k and c (C,) or (1,) -> y of x's shape."""
    xp = array_module(x)
    ln_2 = xp.log(xp.full(1, 2, x.dtype))
    return softplus(along_channels(k, x) * x) + x / along_channels(c, x) - ln_2, Cache(x, k, c)


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dy (as x) -> dx (as x), dk and dc (C,) or (1,)."""
    x, k, c = cache
    gate, tilt = sigmoid(along_channels(k, x) * x), along_channels(c, x)
    dx = dy * (along_channels(k, x) * gate + 1 / tilt)
    return dx, over_channels(dy * x * gate, k), over_channels(-dy * x / (tilt * tilt), c)


def jvp(vx, vk, vc, cache) -> np.ndarray:
    """Tangents vx (as x), vk and vc (C,) or (1,) -> tangent of y."""
    x, k, c = cache
    check_tangent(vx, x.shape)
    check_tangent(vk, k.shape)
    check_tangent(vc, c.shape)
    gate, tilt = sigmoid(along_channels(k, x) * x), along_channels(c, x)
    through_x = (along_channels(k, x) * gate + 1 / tilt) * vx
    return through_x + x * gate * along_channels(vk, x) - x / (tilt * tilt) * along_channels(vc, x)


def _check(x, k, c):
    check_channels(x, k, "k")
    check_channels(x, c, "c")


forward = accelerated(forward, check=_check)
backward = accelerated(backward, y_shape=lambda cache: cache.x.shape)

CASES = [
    dict(x=(5, 7), k=(7,), c=Uniform((7,), 0.5, 3.0)),
    dict(x=(5, 7), k=(1,), c=Uniform((1,), -3.0, -0.5)),
    dict(x=(8,), k=(1,), c=Uniform((1,), 0.5, 3.0)),
    dict(x=(2, 3, 4, 2), k=(3,), c=Uniform((3,), 0.5, 3.0)),
    dict(x=(0, 4), k=(4,), c=Uniform((4,), 0.5, 3.0)),
]
