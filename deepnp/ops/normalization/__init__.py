"""Normalisations: one formula, (x − μ)/σ, over other axes each time. Batch: all but the channels. Layer: the last. Group: some
channels of one row. RMS: the last, and without μ.
"""

import math


def across(vector, x):
    """vector (C,) as (C, 1, …, 1), so that it meets axis 1 of x (B, C, …)."""
    return vector.reshape(-1, *[1] * (x.ndim - 2))


def all_but_channels(x) -> tuple[tuple[int, ...], int]:
    """The axes of x (B, C, …) other than 1, and how many values they hold for a channel."""
    axes = (0, *range(2, x.ndim))
    return axes, math.prod(x.shape[a] for a in axes)
