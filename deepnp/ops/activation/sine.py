"""Sine of frequency ω, element by element (SIREN, Sitzmann et al. 2020, which takes ω = 30).

Forward    y = sin(ωx)                                    its derivative is a sine too: a network can fit slopes as well
Backward   dx = dy·ω·cos(ωx)
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product
"""

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, ordered_kernel
from deepnp.ops.activation import elementwise, float32_runs


def forward(x, omega=1.0):
    """x (any shape), omega a number -> y of that shape."""
    if float32_runs(x):
        y = elementwise(_forward, x, settings=(omega,))
    else:
        y = array_module(x).sin(omega * x)
    return y, (x, omega)


def backward(dy, cache):
    """dy -> dx."""
    x, omega = cache
    if float32_runs(dy, x):
        return elementwise(_backward, dy, x, settings=(omega,))
    return dy * (omega * array_module(x).cos(omega * x))


def jvp(vx, cache):
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


CASES = [dict(x=(5, 7)), dict(x=(4,), omega=3.0), dict(x=(2, 3, 4), omega=-0.5), dict(x=(0, 4))]
