"""What every loss, gradient and parameter is held to."""

import math
from collections.abc import Mapping

import numpy as np

from deepnp import NonFiniteError, ParameterVector


def check_finite(what: str, value: float) -> None:
    """Raise NonFiniteError, naming what, unless the value is finite."""
    if not math.isfinite(value):
        raise NonFiniteError(f"the {what} is {value}")


def check_gradient(what: str, vector: ParameterVector) -> None:
    """Raise NonFiniteError, naming what and the parameter, unless the gradient is finite, and its squares are.

    Adam's second moments take in the squares: an infinite one would hold its parameter for ever.
    """
    g = vector.grad
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(np.dot(g, g)):  # one pass
            return
        vector.check_finite(g, what)
    raise NonFiniteError(f"the {what} overflows {g.dtype}: its largest value is {np.abs(g).max():.3g}")


def check_arrays(what: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise NonFiniteError, naming the first array that holds NaN or infinity."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NonFiniteError(f"{what}.{name} holds NaN or infinity")
