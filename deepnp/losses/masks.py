"""Losses of a part of the elements.

What is left out is not even read: it may hold NaN, or a label that no class has. The mean is over what is kept.
"""

import numpy as np

from deepnp.backend import array_module


def kept(mask, *arrays) -> list:
    """Each array's elements, or rows, where mask is True; None stays None.

    mask, Boolean (any shape) with an array (mask.shape, …) -> (kept, …).
    """
    if mask.dtype.kind != "b":
        raise TypeError(f"expected a Boolean mask, given {mask.dtype}")
    for x in arrays:
        if x is not None and x.shape[: mask.ndim] != mask.shape:
            raise ValueError(f"expected a mask of the leading axes of {x.shape}, given shape {mask.shape}")
    if not mask.any():
        raise ValueError(f"expected a mask that keeps something, given one of shape {mask.shape} without a True")
    return [None if x is None else x[mask] for x in arrays]


def spread(dy, mask) -> np.ndarray:
    """The gradient of what was kept, zero elsewhere: dy (kept, …) -> (mask.shape, …)."""
    whole = array_module(dy).zeros(mask.shape + dy.shape[1:], dy.dtype)
    whole[mask] = dy
    return whole
