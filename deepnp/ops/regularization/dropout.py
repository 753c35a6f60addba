"""Dropout (Srivastava et al. 2014), inverted: what remains is scaled up in training, so that inference does nothing.

Forward    y = x·M/(1 − p)                                M is 1 where x is kept, with probability 1 − p: E[y] = x
Backward   y′ = M/(1 − p)                                 the mask is given, not learned: y is linear in x
           dx = dy·M/(1 − p)                              each x_i reaches its own y_i only
Tangent    vy = vx·M/(1 − p)                              the Jacobian is diagonal: forward mode and backward are one product

M may be smaller than x and spread over it: (B, C, 1, 1) drops whole channels (spatial dropout, Tompson et al. 2015), because
neighbouring places of a channel say nearly the same and dropping some of them hides nothing.
"""

from typing import NamedTuple

import numpy as np

from deepnp.cases import Booleans
from deepnp.dispatch import accelerated


class Cache(NamedTuple):
    mask: np.ndarray
    factor: float  # 1/(1 − p)
    shape: tuple[int, ...]  # of x and y


def forward(x, mask, p) -> tuple[np.ndarray, Cache]:
    """x (any shape), mask (Boolean, that shape or one that spreads over it), p in [0, 1) -> y of x's shape."""
    factor = 1 / (1 - p)
    return x * mask * factor, Cache(mask, factor, x.shape)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    return dy * cache.mask * cache.factor


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


def _check(x, mask, p):
    if mask.shape != x.shape and np.broadcast_shapes(mask.shape, x.shape) != x.shape:
        raise ValueError(f"expected a mask that spreads over x {x.shape}, given {mask.shape}")


forward = accelerated(forward, check=_check)
backward = accelerated(backward, y_shape=lambda cache: cache.shape)

CASES = [
    dict(x=(5, 7), mask=Booleans((5, 7)), p=0.5),
    dict(x=(9,), mask=Booleans((9,), share=0.8), p=0.2),
    dict(x=(2, 3, 4, 2), mask=Booleans((2, 3, 1, 1)), p=0.3),
    dict(x=(3, 2), mask=Booleans((3, 2), share=1.0), p=0.0),
    dict(x=(0, 4), mask=Booleans((0, 4)), p=0.5),
]
