"""Sine of frequency ω, element by element (SIREN, Sitzmann et al. 2020, which takes ω = 30).

Forward    y = sin(ωx)                                    its derivative is a shifted sine: networks of it fit a function and its slopes
Backward   dx = dy·ω·cos(ωx)
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product
"""

from deepnp.backend import array_module


def forward(x, omega=1.0):
    """x (any shape), omega a number -> y of that shape."""
    u = omega * x
    return array_module(x).sin(u), (u, omega)


def backward(dy, cache):
    """dy -> dx."""
    u, omega = cache
    return dy * (omega * array_module(u).cos(u))


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


CASES = [dict(x=(5, 7)), dict(x=(4,), omega=3.0), dict(x=(2, 3, 4), omega=-0.5), dict(x=(0, 4))]
