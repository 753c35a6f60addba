"""Leaky rectifier with slope a on the negative side, element by element.

Forward    y = x for x > 0, a·x elsewhere                 a unit that is never positive still learns
Backward   dx = dy for x > 0, a·dy elsewhere              at the kink x = 0 ours is a, as in PyTorch
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product
"""

from deepnp.backend import array_module, ordered_kernel
from deepnp.cases import Kinked
from deepnp.ops.activation import elementwise, elementwise_runs


def forward(x, slope=0.01):
    """x (any shape), slope a number -> y of that shape."""
    if elementwise_runs(x):
        return elementwise(_forward, x, settings=(slope,)), (x, slope)
    return array_module(x).where(x > 0, x, slope * x), (x, slope)


def backward(dy, cache):
    """dy -> dx."""
    x, slope = cache
    if elementwise_runs(dy, x):
        return elementwise(_backward, dy, x, settings=(slope,))
    return array_module(dy).where(x > 0, dy, slope * dy)


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


@ordered_kernel
def _forward(x, slope, y):
    for i in range(len(x)):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


@ordered_kernel
def _backward(dy, x, slope, dx):
    for i in range(len(x)):
        dx[i] = dy[i] if x[i] > 0 else slope * dy[i]


CASES = [
    dict(x=Kinked((5, 7), (0.0,))),
    dict(x=Kinked((8,), (0.0,)), slope=0.3),
    dict(x=Kinked((2, 3, 4), (0.0,)), slope=-1.5),
    dict(x=(0, 4)),
]
