"""Identity between two bounds, element by element.

Forward    y = min(max(x, low), high)                     tanh in three straight pieces
Backward   y′ = 1 where low < x < high, 0 beyond          y is x there, and constant here
           low < y < high exactly where low < x < high    so the output is all that backward needs
           dx = dy where low < y < high, 0 elsewhere      at both kinks ours is 0, as in PyTorch; a NaN passes dy on
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product
"""

from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.cases import Kinked
from deepnp.dispatch import accelerated


class Cache(NamedTuple):
    y: np.ndarray
    low: float
    high: float


def forward(x, low=-1.0, high=1.0) -> tuple[np.ndarray, Cache]:
    """x (any shape), low < high -> y of that shape."""
    y = array_module(x).clip(x, low, high)
    return y, Cache(y, low, high)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    beyond = (cache.y <= cache.low) | (cache.y >= cache.high)
    return dy * ~beyond


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


backward = accelerated(backward, y_shape=lambda cache: cache.y.shape)

CASES = [
    dict(x=Kinked((5, 7), (-1.0, 1.0))),
    dict(x=Kinked((8,), (-0.5, 1.5)), low=-0.5, high=1.5),
    dict(x=Kinked((2, 3, 4), (0.0, 0.3)), low=0.0, high=0.3),
    dict(x=(0, 4)),
]
