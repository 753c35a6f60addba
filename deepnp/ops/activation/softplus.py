"""Softplus with sharpness β and scale ψ, element by element.

Forward    y = (ψ/β)·ln(1 + e^{βx})                       a smooth max(x, 0): positive, as a standard deviation must be
Backward   dx = dy·ψ·σ(βx)                                d/dx ln(1 + e^{βx}) = β e^{βx}/(1 + e^{βx}) = β σ(βx)
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product

Stable form: ln(1 + e^u) = max(u, 0) + log1p(e^{−|u|}).
"""

from deepnp.backend import array_module
from deepnp.ops.activation.sigmoid import sigmoid


def forward(x, beta=1.0, scale=1.0):
    """x (any shape), beta > 0, scale > 0 -> y of that shape."""
    xp = array_module(x)
    u = beta * x
    y = (scale / beta) * (xp.maximum(u, 0) + xp.log1p(xp.exp(-xp.abs(u))))
    return y, (u, scale)


def backward(dy, cache):
    """dy -> dx."""
    u, scale = cache
    return dy * (scale * sigmoid(u))


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


CASES = [dict(x=(5, 7)), dict(x=(4,), beta=2.0, scale=0.5), dict(x=(2, 3, 4), beta=0.5), dict(x=(0, 4))]
