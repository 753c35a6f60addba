"""Normalisations: one formula, (x − μ)/σ, over other axes each time. Batch: all but the channels. Layer: the last. Group: some
channels of one row. RMS: the last, and without μ.
"""

import math
from typing import Any

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_shape


def across(vector, x) -> np.ndarray:
    """vector (C,) as (C, 1, …, 1), so that it meets axis 1 of x (B, C, …)."""
    return vector.reshape(-1, *[1] * (x.ndim - 2))


def all_but_channels(x) -> tuple[tuple[int, ...], int]:
    """The axes of x (B, C, …) other than 1, and how many values they hold for a channel."""
    axes = (0, *range(2, x.ndim))
    return axes, math.prod(x.shape[a] for a in axes)


def fit_squares(x, eps: float, axes, centred: bool = True) -> tuple[np.ndarray, Any, np.ndarray | None]:
    """What to normalise over `axes` in place of x, so that squares of huge values do not overflow.

    A normalisation of x with ε is that of x/s with ε/s², and its dx is that one's divided by s. -> x/s, ε/s² and s, which is a
    power of two where values are huge and 1 elsewhere; as a rule none are, and the three are x, ε and None. `centred` says that
    differences are squared, and not x itself.
    """
    if x.size == 0:
        return x, eps, None
    xp, info = array_module(x), np.finfo(x.dtype)
    most = min(info.maxexp, 1024)  # a Python float holds no more
    largest = xp.abs(x).max(axis=axes, keepdims=True)
    spread = x.max(axis=axes, keepdims=True) / 2 - x.min(axis=axes, keepdims=True) / 2 if centred else largest / 2
    huge = (spread > 2.0 ** (3 * most // 8)) | (largest > 2.0 ** (3 * most // 4))  # their squares; their sum
    huge &= xp.isfinite(largest)
    if xp is np and not huge.any():  # on a GPU the question would cost more than the division
        return x, eps, None
    power = 2.0 ** (11 * most // 16)
    scale = xp.where(huge, power, 1.0).astype(x.dtype)
    least = max(eps / power / power, float(info.tiny))  # not 0: a row of equal values has no variance
    return x / scale, xp.where(huge, least, eps).astype(x.dtype), scale


def divided(dx, scale) -> np.ndarray:
    """dx/s, where there is an s."""
    return dx if scale is None else dx / scale


def check_last(x, *vectors) -> None:
    """Raise ValueError unless each vector is (C,) for x (…, C)."""
    if x.ndim == 0:
        raise ValueError("expected input of shape (…, C), given a number")
    for vector in vectors:
        if vector.shape != x.shape[-1:]:
            check_shape("a scale or shift", vector, x.shape[-1:])


def check_channels(x, *vectors) -> None:
    """Raise ValueError unless each vector is (C,) for x (B, C, …)."""
    if x.ndim < 2:
        raise ValueError(f"expected input of shape (B, C, …), given {x.shape}")
    for vector in vectors:
        if vector.shape != x.shape[1:2]:
            check_shape("a scale, shift or statistic", vector, x.shape[1:2])
