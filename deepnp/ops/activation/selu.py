"""Scaled exponential linear unit (Klambauer et al. 2017), element by element.

Forward    y = λx for x > 0, λα(e^x − 1) elsewhere        ops.activation.elu with α and λ such that inputs of mean 0 and
                                                          variance 1 give outputs of mean 0 and variance 1
Backward   dx = dy·λ for y > 0, dy·(y + λα) elsewhere     as derived there
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

α and λ solve E f(x) = 0 and E f(x)² = 1 for x ~ N(0, 1).
"""

import numpy as np

from deepnp.cases import Kinked
from deepnp.ops.activation import elu

ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946


def forward(x) -> tuple[np.ndarray, elu.Cache]:
    """x (any shape) -> y of that shape."""
    return elu.forward(x, ALPHA, SCALE)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    return elu.backward(dy, cache)


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return elu.jvp(vx, cache)


CASES = [dict(x=Kinked((5, 7), (0.0,))), dict(x=Kinked((8,), (0.0,))), dict(x=Kinked((2, 3, 4), (0.0,))), dict(x=(0, 4))]
