"""What every loss, gradient and parameter is held to."""

import math
from collections.abc import Mapping

import numpy as np

from deepnp import NonFiniteError, ParameterVector
from deepnp.backend import array_module, kernel_runs, summing_kernel


def check_finite(what: str, value: float) -> None:
    """Raise NonFiniteError, naming what, unless the value is finite."""
    if not math.isfinite(value):
        raise NonFiniteError(f"the {what} is {value}")


def check_gradient(what: str, vector: ParameterVector) -> None:
    """Raise NonFiniteError, naming what and the parameter, unless the gradient is finite, and its squares are.

    Adam's second moments take in the squares: an infinite one would hold its parameter for ever.
    """
    g = vector.grad
    if math.isfinite(sum_of_squares(g) if kernel_runs(g) else _plain(g)):
        return
    with np.errstate(all="ignore"):
        vector.check_finite(g, what)
    raise NonFiniteError(f"the {what} overflows {g.dtype}: its largest value is {float(abs(g).max()):.3g}")


@summing_kernel
def sum_of_squares(g) -> float:
    """Σ g² of a vector (P,); NaN or infinite where a number of it is, or where it overflows."""
    total = g.dtype.type(0)
    for i in range(len(g)):
        total += g[i] * g[i]
    return total


def _plain(g):
    with np.errstate(over="ignore", invalid="ignore"):
        return g @ g


def check_arrays(what: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise NonFiniteError, naming the first array that holds NaN or infinity."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not array_module(array).isfinite(array).all():
            raise NonFiniteError(f"{what}.{name} holds NaN or infinity")
