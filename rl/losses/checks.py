"""What every loss is held to."""

import math

from deepnp import NonFiniteError


def check_finite(what: str, value: float) -> None:
    """Raise NonFiniteError, naming what, unless the value is finite."""
    if not math.isfinite(value):
        raise NonFiniteError(f"the {what} is {value}")
