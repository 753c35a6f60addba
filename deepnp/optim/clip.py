"""Gradient clipping, on the flat gradient of a whole model.

by norm     g ← g · min(1, c/(‖g‖ + ε))       one norm for all parameters: the direction stays
by value    g ← clip(g, −c, c)                element by element: the direction changes
"""

import math

from deepnp.backend import array_module
from deepnp.optim.optimizer import check_vector, is_number
from deepnp.parameters import NonFiniteError, ParameterVector


def clip_grad_norm(vector: ParameterVector, max_norm: float, order: float = 2) -> float:
    """Shorten the gradient to `max_norm` where it is longer; returns the norm before clipping.

    Parameters
    ----------
    vector : ParameterVector
        Its `grad` is scaled in place.
    max_norm : float
        c > 0; infinity only measures.
    order : {2, 1, inf}
        Which norm.

    Raises
    ------
    NonFiniteError
        If the norm is NaN or infinite; the message names the parameter.
    """
    check_vector(vector)
    if not (is_number(max_norm) and max_norm > 0):
        raise ValueError(f"expected max_norm > 0, given {max_norm!r}")
    g, xp = vector.grad, array_module(vector.grad)
    if order == 2:
        norm = math.sqrt(float(g @ g))
    elif order == 1:
        norm = float(xp.abs(g).sum())
    elif order == math.inf:
        norm = float(xp.abs(g).max())
    else:
        raise ValueError(f"expected order 2, 1 or inf, given {order}")
    if not math.isfinite(norm):
        vector.check_finite(g, "gradient")
        raise NonFiniteError(f"the gradient's {order}-norm overflows {g.dtype}")
    if norm > max_norm:
        g *= float(max_norm) / (norm + 1e-6)
    return norm


def clip_grad_value(vector: ParameterVector, limit: float) -> None:
    """Clip every element of the gradient to [−limit, limit], in place."""
    check_vector(vector)
    if not (is_number(limit) and limit > 0):
        raise ValueError(f"expected limit > 0, given {limit!r}")
    vector.check_finite(vector.grad, "gradient")
    array_module(vector.grad).clip(vector.grad, -limit, limit, out=vector.grad)
