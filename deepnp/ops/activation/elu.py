"""Exponential linear unit with depth α and scale λ, element by element.

Forward    y = λx for x > 0, λα(e^x − 1) elsewhere        smooth where α = 1; ends at −λα, which brings the mean near 0
Backward   dx = dy·λ for x > 0, dy·(y + λα) elsewhere     (λα(e^x − 1))′ = λα e^x = y + λα: no exponential a second time
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product

At the kink x = 0 (where α ≠ 1) ours is λα, as in PyTorch. Only the negative side is exponentiated, so nothing overflows.
"""

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, ordered_kernel
from deepnp.cases import Kinked
from deepnp.ops.activation import elementwise, elementwise_runs, float32_runs


def forward(x, alpha=1.0, scale=1.0):
    """x (any shape), alpha ≥ 0, scale > 0 -> y of that shape."""
    if float32_runs(x):
        y = elementwise(_forward, x, settings=(alpha, scale))
    else:
        xp = array_module(x)
        y = scale * xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))
    return y, (y, alpha, scale)


def backward(dy, cache):
    """dy -> dx."""
    y, alpha, scale = cache
    if elementwise_runs(dy, y):
        return elementwise(_backward, dy, y, settings=(alpha, scale))
    return dy * array_module(y).where(y > 0, scale, y + scale * alpha)


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, alpha, scale, y):
    for i in range(len(x)):
        y[i] = scale * (x[i] if x[i] > 0 else alpha * elementary.expm1(min(x[i], np.float32(0))))


@ordered_kernel
def _backward(dy, y, alpha, scale, dx):
    for i in range(len(y)):
        dx[i] = dy[i] * (scale if y[i] > 0 else y[i] + scale * alpha)


CASES = [
    dict(x=(5, 7)),
    dict(x=Kinked((8,), (0.0,)), alpha=0.5),
    dict(x=Kinked((2, 3, 4), (0.0,)), alpha=1.5, scale=2.0),
    dict(x=(0, 4)),
]
