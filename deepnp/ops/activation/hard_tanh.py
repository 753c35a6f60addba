"""Identity between two bounds, element by element.

Forward    y = min(max(x, low), high)                     tanh in three straight pieces
Backward   dx = dy·1[low < x < high]                      at both kinks ours is 0, as in PyTorch
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product

low < y < high exactly where low < x < high, so the output is all that backward needs.
"""

from deepnp.backend import array_module
from deepnp.cases import Kinked


def forward(x, low=-1.0, high=1.0):
    """x (any shape), low < high -> y of that shape."""
    y = array_module(x).clip(x, low, high)
    return y, (y, low, high)


def backward(dy, cache):
    """dy -> dx."""
    y, low, high = cache
    return dy * ((y > low) & (y < high))


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


CASES = [
    dict(x=Kinked((5, 7), (-1.0, 1.0))),
    dict(x=Kinked((8,), (-0.5, 1.5)), low=-0.5, high=1.5),
    dict(x=Kinked((2, 3, 4), (0.0, 0.3)), low=0.0, high=0.3),
    dict(x=(0, 4)),
]
