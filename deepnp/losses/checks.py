"""What every loss asks of its arguments, and what the element-wise ones share."""

from typing import Any

import numpy as np

from deepnp.checks import check_array, check_one_device


def check_shapes(y, target, names: str = "y and target") -> None:
    """Raise ValueError unless both have one shape and at least one element, TypeError unless both are arrays and y holds floats."""
    check_array(y, "y")
    check_array(target, "target")
    if y.shape != target.shape:  # broadcasting (B,) against (B, 1) is the classic silent bug
        raise ValueError(f"expected {names} of one shape, given {y.shape} and {target.shape}")
    check_one_device(y, target)
    check_not_empty(y)


def check_not_empty(y) -> None:
    """Raise ValueError unless y has an element, TypeError unless it is an array of floats."""
    check_array(y, "y")
    if y.dtype.kind != "f":
        raise TypeError(f"expected floating-point numbers to differentiate by, given {y.dtype}")
    if y.size == 0:
        raise ValueError(f"expected at least one element, given shape {y.shape}")


def check_range(x, low: float, high: float, name: str) -> None:
    """Raise ValueError unless every element lies in [low, high]; NaN does not."""
    for value in (float(x.min()), float(x.max())):
        if not low <= value <= high:
            raise ValueError(f"expected {name} in [{low}, {high}], given {value}")


def check_signs(target) -> None:
    """Raise ValueError unless every element is −1 or 1."""
    wrong = (target != 1) & (target != -1)
    if wrong.any():
        raise ValueError(f"expected targets of -1 or 1, given {target[wrong][0]}")


def check_labels(labels, classes: int) -> None:
    """Raise ValueError unless every label lies in [0, classes)."""
    for value in (int(labels.min()), int(labels.max())):
        if not 0 <= value < classes:
            raise ValueError(f"expected labels in [0, {classes}), given {value}")


def shares(y, weight) -> Any:
    """What each element counts in the mean: 1/n, or weight/n, an array like y."""
    if weight is None:
        return 1 / y.size
    check_array(weight, "weight")
    if weight.shape != y.shape:
        raise ValueError(f"expected a weight of y's shape {y.shape}, given {weight.shape}")
    return weight.astype(y.dtype, copy=False) * (1 / y.size)


def in_one_pass(kernel, y, target, *constants) -> tuple[float, np.ndarray]:
    """Mean and gradient from an element-wise kernel, which sums in float64 and writes dy."""
    dy = np.empty_like(y)
    total = kernel(y.reshape(-1), target.reshape(-1), dy.reshape(-1), *(y.dtype.type(c) for c in constants))
    return float(total) / y.size, dy
