"""Sine of frequency ω, element by element (SIREN, Sitzmann et al. 2020, which takes ω = 30).

Forward    y = sin(ωx)                                    its derivative is a sine too: a network can fit slopes as well
Backward   y′ = ω·cos(ωx)                                 the chain rule, sin′ = cos
           dx = dy·ω·cos(ωx)                              each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

The float32 kernels take whole turns off ωx in float64; where |ωx| is so large that this would cost digits, NumPy's sine runs.
"""

from typing import NamedTuple

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, ordered_kernel
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import elementwise

LARGEST = 2.0**20  # |ωx| that the kernels take


class Cache(NamedTuple):
    x: np.ndarray
    omega: float


def forward(x, omega=1.0) -> tuple[np.ndarray, Cache]:
    """x (any shape), omega a number -> y of that shape."""
    return array_module(x).sin(omega * x), Cache(x, omega)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    x, omega = cache
    return dy * (omega * array_module(x).cos(omega * x))


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, omega, y):
    for i in range(len(x)):
        y[i] = elementary.sin(np.float64(omega * x[i]))


@ordered_kernel
def _backward(dy, x, omega, dx):
    for i in range(len(x)):
        dx[i] = dy[i] * (omega * elementary.sin(np.float64(omega * x[i]) + np.pi / 2))  # cos u = sin(u + ½π)


def _is_small(x, omega) -> bool:
    return abs(omega) * max(x.max(), -x.min()) < LARGEST  # not where x has a NaN


def _forward_fast(x, omega):
    return (elementwise(_forward, x, settings=(omega,)), Cache(x, omega)) if _is_small(x, omega) else None


def _backward_fast(dy, cache):
    return elementwise(_backward, dy, cache.x, settings=(cache.omega,)) if _is_small(*cache) else None


forward = accelerated(forward, cpu=_forward_fast, types=SINGLE)
backward = accelerated(backward, cpu=_backward_fast, types=SINGLE, y_shape=lambda cache: cache.x.shape)

CASES = [dict(x=(5, 7)), dict(x=(4,), omega=3.0), dict(x=(2, 3, 4), omega=-0.5), dict(x=(0, 4))]
