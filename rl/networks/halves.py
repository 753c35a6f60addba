"""A batch in two halves, on a thread each.

Waking a thread takes about as long as a small network's pass. So a chain of passes, through policy and critics and back, is
split once by rows, instead of at each network. Each thread has networks of its own: shadows over the same parameters. The halves
are the same whatever the number of threads, so results are, too.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepnp.threads import side_by_side

WORTHWHILE = 64  # rows from which two threads are faster than one


def in_halves(function: Callable[..., tuple], sides: Sequence[Any], *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """function(side, *rows of each array) for both halves of the rows, with a side each; their results joined.

    Parameters
    ----------
    function : callable
        Returns a tuple of arrays of as many rows as it was given.
    sides : sequence of 2
        What the two calls work with; they share nothing that is written to.
    *arrays : arrays (B, …)
    """
    half = len(arrays[0]) // 2
    rows = slice(half), slice(half, None)
    parts = side_by_side(
        *(lambda side=side, rows=rows: function(side, *(a[rows] for a in arrays)) for side, rows in zip(sides, rows, strict=True)),
        worthwhile=half >= WORTHWHILE // 2,
    )
    return tuple(map(np.concatenate, zip(*parts, strict=True)))
