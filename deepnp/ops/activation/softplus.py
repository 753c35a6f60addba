"""Softplus with sharpness β and scale ψ, element by element.

Forward    y = (ψ/β)·ln(1 + e^{βx})                       a smooth max(x, 0): positive, as a standard deviation must be
Backward   dx = dy·ψ·σ(βx)                                d/dx ln(1 + e^{βx}) = β e^{βx}/(1 + e^{βx}) = β σ(βx)
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product

Stable form: ln(1 + e^u) = max(u, 0) + log1p(e^{−|u|}).
"""

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, ordered_kernel
from deepnp.ops.activation import elementwise, float32_runs
from deepnp.ops.activation.sigmoid import sigmoid


def forward(x, beta=1.0, scale=1.0):
    """x (any shape), beta > 0, scale > 0 -> y of that shape."""
    if float32_runs(x):
        y = elementwise(_forward, x, settings=(beta, scale / beta))
    else:
        y = (scale / beta) * softplus(beta * x)
    return y, (x, beta, scale)


def softplus(u):
    """ln(1 + e^u), stable on both sides."""
    xp = array_module(u)
    return xp.maximum(u, 0) + xp.log1p(xp.exp(-xp.abs(u)))


def backward(dy, cache):
    """dy -> dx."""
    x, beta, scale = cache
    if float32_runs(dy, x):
        return elementwise(_backward, dy, x, settings=(beta, scale))
    return dy * (scale * sigmoid(beta * x))


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, beta, factor, y):
    for i in range(len(x)):
        u = beta * x[i]
        y[i] = factor * (max(u, np.float32(0)) + elementary.log1p(elementary.exp(-abs(u))))


@ordered_kernel
def _backward(dy, x, beta, scale, dx):
    for i in range(len(x)):
        dx[i] = dy[i] * (scale * elementary.sigmoid(beta * x[i]))


CASES = [dict(x=(5, 7)), dict(x=(4,), beta=2.0, scale=0.5), dict(x=(2, 3, 4), beta=0.5), dict(x=(0, 4))]
