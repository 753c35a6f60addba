"""Sequences as recurrent layers turn and join them, and the checks of what says where they end and begin anew.

Shapes: T time, B batch.
"""

import numpy as np

from deepnp.backend import array_module


def side_by_side(parts: list) -> np.ndarray:
    """Both directions' arrays, one beside the other along the last axis."""
    return parts[0] if len(parts) == 1 else array_module(parts[0]).concatenate(parts, axis=-1)


def apart(x, count: int) -> list:
    """What `side_by_side` put together: views of so many parts of the last axis."""
    size = x.shape[-1] // count
    return [x[..., i * size : (i + 1) * size] for i in range(count)]


def reversed_in_time(x, lengths) -> np.ndarray:
    """x (T, B, features) with each sequence's own steps backwards; twice is as before, so it is its own transpose."""
    xp = array_module(x)
    if lengths is None:
        return xp.ascontiguousarray(x[::-1])
    steps = xp.arange(len(x))[:, None]
    return xp.take_along_axis(x, xp.where(steps < lengths, lengths - 1 - steps, steps)[..., None], axis=0)


def checked_lengths(lengths, steps: int, batch: int) -> np.ndarray:
    """The lengths (B,) as int64, if each is 1 … T."""
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"expected whole numbers as lengths, given {lengths.dtype}")
    if lengths.shape != (batch,):
        raise ValueError(f"expected lengths of shape ({batch},), given {lengths.shape}")
    if batch and not 1 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ValueError(f"expected lengths from 1 to {steps}, given {int(lengths.min())} to {int(lengths.max())}")
    return lengths.astype(np.int64, copy=False)


def check_resets(resets, steps: int, batch: int) -> None:
    """Raise TypeError or ValueError unless the resets are Booleans (T, B)."""
    if resets.dtype != bool:
        raise TypeError(f"expected resets as Booleans, given {resets.dtype}")
    if resets.shape != (steps, batch):
        raise ValueError(f"expected resets for each of {steps} steps of {batch} sequences, given {resets.shape}")
