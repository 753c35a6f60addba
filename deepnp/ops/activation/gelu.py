"""Gaussian error linear unit (Hendrycks & Gimpel 2016), exact, element by element.

Forward    y = x·Φ(x)                                     Φ(x) = ½(1 + erf(x/√2)): the probability that a normal number is below x
Backward   dx = dy·(Φ(x) + x·φ(x))                        the product rule; Φ′ = φ, φ(x) = e^{−x²/2}/√(2π)
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product
"""

import math

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, ordered_kernel
from deepnp.erf import erf
from deepnp.ops.activation import elementwise, float32_runs

DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)


def forward(x):
    """x (any shape) -> y of that shape."""
    if float32_runs(x):
        y, below = elementwise(_forward, x, results=2)
        return y, (x, below)
    below = 0.5 * (1 + erf(x * math.sqrt(0.5)))
    return x * below, (x, below)


def backward(dy, cache):
    """dy -> dx."""
    x, below = cache
    if float32_runs(dy, x, below):
        return elementwise(_backward, dy, x, below)
    return dy * (below + x * DENSITY_AT_0 * array_module(x).exp(-0.5 * x * x))


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, y, below):
    for i in range(len(x)):
        below[i], _ = elementary.normal_cdf(x[i])
        y[i] = x[i] * below[i]


@ordered_kernel
def _backward(dy, x, below, dx):
    for i in range(len(x)):
        density = np.float32(DENSITY_AT_0) * elementary.exp(np.float32(-0.5) * x[i] * x[i])
        dx[i] = dy[i] * (below[i] + x[i] * density)


CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
