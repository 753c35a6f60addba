"""Action masks: which choices an environment allows in its present state.

    observation["action_mask"]         C values of 0 and 1, one for each choice, branch after branch
                                       MultiBinary: two for each switch, whether off and on are allowed

The mask is a part of a Dict observation, so it is stored, drawn and saved with it. No network reads
it, and no normaliser. A policy gives what it excludes probability 0. An environment that says
`info["action_mask"]` instead gets a wrapper from action_mask.py. See Huang & Ontañón 2020.

In the last observation of an episode a mask may exclude everything: nobody acts there.

Shapes: B rows, C choices of all branches.
"""

import math
from collections.abc import Sequence

import numpy as np

KEY = "action_mask"
PATH = (KEY,)


def check_form(shape: tuple[int, ...], dtype: str, choices: tuple[int, ...]) -> None:
    """Raise ValueError unless this is a mask of branches with so many choices: Booleans or integers, one for each choice."""
    if np.dtype(dtype).kind not in "biu":
        raise ValueError(f"expected {KEY} of bools or integers, given {dtype}")
    if math.prod(shape) != sum(choices) or not shape:
        each = " + ".join(map(str, choices))
        raise ValueError(f"expected {KEY} with a value for each of {each} choices, given shape {shape}")


def allowed(batch: np.ndarray) -> np.ndarray:
    """Masks (B, …) as a new Boolean array (B, C); ValueError for a value that is neither 0 nor 1."""
    rows = batch.reshape(len(batch), math.prod(batch.shape[1:]))
    mask = rows != 0
    if rows.dtype != bool and (rows != mask).any():
        raise ValueError(f"expected {KEY} of 0 and 1, given {rows[rows != mask][0]}")
    return mask


def has_choice(mask: np.ndarray, choices: Sequence[int]) -> np.ndarray:
    """Whether each branch has a choice that is allowed: mask (B, C) -> (B, K)."""
    return np.logical_or.reduceat(mask, np.cumsum((0, *choices[:-1])), axis=1)


def check_some_allowed(mask: np.ndarray, choices: Sequence[int]) -> None:
    """Raise ValueError for a row of a mask (B, C) that leaves some branch no choice."""
    some = has_choice(mask, choices)
    if not some.all():
        row, branch = map(int, np.argwhere(~some)[0])
        where = f"row {row}" if len(choices) == 1 else f"branch {branch} of row {row}"
        raise ValueError(f"expected {KEY} to allow a choice, given one that allows none in {where}")


def random_choices(mask: np.ndarray, choices: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Uniform choices among those that a mask (B, C) allows: (B, K) int64."""
    keys, ends = np.where(mask, rng.random(mask.shape), -1.0), np.cumsum(choices)
    return np.stack([keys[:, end - size : end].argmax(axis=1) for end, size in zip(ends, choices, strict=True)], axis=1)
