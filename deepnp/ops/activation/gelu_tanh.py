"""Gaussian error linear unit, its usual approximation by tanh, element by element.

Forward    y = ½x(1 + tanh u),  u = √(2/π)(x + 0.044715 x³)
             = x·σ(2u)                                    because ½(1 + tanh u) = σ(2u)
Backward   dx = dy·(s + x·s(1 − s)·2u′),  s = σ(2u)       the product rule, σ′ = σ(1 − σ)
           u′ = √(2/π)(1 + 3·0.044715 x²)                 the inner derivative, which the thesis forgets
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product

At most 5e-4 from the exact form (gelu.py); GPT-2 uses this one.
"""

import math

import numpy as np

from deepnp import elementary
from deepnp.backend import ordered_kernel
from deepnp.ops.activation import elementwise, float32_runs
from deepnp.ops.activation.sigmoid import sigmoid

ROOT = math.sqrt(2 / math.pi)
CUBIC = 0.044715


def forward(x):
    """x (any shape) -> y of that shape."""
    if float32_runs(x):
        y, s = elementwise(_forward, x, results=2)
        return y, (x, s)
    s = sigmoid(2 * ROOT * x * (1 + CUBIC * x * x))
    return x * s, (x, s)


def backward(dy, cache):
    """dy -> dx."""
    x, s = cache
    if float32_runs(dy, x, s):
        return elementwise(_backward, dy, x, s)
    return dy * s * (1 + x * (1 - s) * 2 * ROOT * (1 + 3 * CUBIC * x * x))


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, y, s):
    f = np.float32
    for i in range(len(x)):
        s[i] = elementary.sigmoid(f(2 * ROOT) * x[i] * (f(1) + f(CUBIC) * x[i] * x[i]))
        y[i] = x[i] * s[i]


@ordered_kernel
def _backward(dy, x, s, dx):
    f = np.float32
    for i in range(len(x)):
        inner = f(2 * ROOT) * (f(1) + f(3 * CUBIC) * x[i] * x[i])
        dx[i] = dy[i] * s[i] * (f(1) + x[i] * (f(1) - s[i]) * inner)


CASES = [dict(x=(5, 7)), dict(x=(1,)), dict(x=(2, 3, 4)), dict(x=(0, 4))]
