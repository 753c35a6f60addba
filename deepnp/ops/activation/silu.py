"""Sigmoid linear unit, or swish, element by element.

Forward    y = x·s,  s = σ(x)                             x passes a gate that x itself opens
Backward   dx = dy·s(1 + x(1 − s))                        the product rule, σ′ = σ(1 − σ)
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product
"""

import numpy as np

from deepnp import elementary
from deepnp.backend import ordered_kernel
from deepnp.ops.activation import elementwise, float32_runs
from deepnp.ops.activation.sigmoid import sigmoid


def forward(x):
    """x (any shape) -> y of that shape."""
    if float32_runs(x):
        y, s = elementwise(_forward, x, results=2)
        return y, (x, s)
    s = sigmoid(x)
    return x * s, (x, s)


def backward(dy, cache):
    """dy -> dx."""
    x, s = cache
    if float32_runs(dy, x, s):
        return elementwise(_backward, dy, x, s)
    return dy * s * (1 + x * (1 - s))


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, y, s):
    for i in range(len(x)):
        s[i] = elementary.sigmoid(x[i])
        y[i] = x[i] * s[i]


@ordered_kernel
def _backward(dy, x, s, dx):
    one = np.float32(1)
    for i in range(len(x)):
        dx[i] = dy[i] * s[i] * (one + x[i] * (one - s[i]))


CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
