"""From indices to vectors, and what tells attention where in a sequence a vector stands."""

import numpy as np

from deepnp.backend import array_module


def angles(x, start, base) -> np.ndarray:
    """ω_i t with ω_i = base^{−2i/D}, for x (…, T, D) whose first step stands at `start` -> (T, ⌈D/2⌉), float64."""
    xp, (steps, channels) = array_module(x), x.shape[-2:]
    return xp.arange(start, start + steps)[:, None] * base ** -(xp.arange(0, channels, 2) / channels)
