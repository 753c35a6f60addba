"""The copies' random generators as an array, to be saved: (N, 6) uint64, a row for each PCG64.

A row holds the generator's state and its increment, 128 bits each as an upper and a lower word, then whether half a word is
left over and which. The increment is odd, so a row of zeros is no generator: copies that were never reset have none.
"""

import numpy as np
from gymnasium.utils.seeding import np_random

WORD = 2**64


def pack_rngs(rngs: list[np.random.Generator], count: int) -> np.ndarray:
    """`rngs`, `count` of them or none: (count, 6) uint64."""
    rows = np.zeros((count, 6), np.uint64)
    for row, rng in zip(rows, rngs, strict=False):
        saved = rng.bit_generator.state
        state, increment = saved["state"]["state"], saved["state"]["inc"]
        words = (*divmod(state, WORD), *divmod(increment, WORD), saved["has_uint32"], saved["uinteger"])
        row[:] = np.array(words, np.uint64)
    return rows


def unpack_rngs(rows: np.ndarray) -> list[np.random.Generator]:
    """The generators of `pack_rngs`.

    Raises
    ------
    ValueError
        If a row is no generator's, unless all rows are zero.
    """
    if not rows.any():
        return []
    possible = (rows[:, 3] % 2 == 1) & (rows[:, 4] <= 1) & (rows[:, 5] < 2**32)
    if not possible.all():
        raise ValueError(f"expected 'rngs' of the state as states of PCG64, given {rows[~possible][0]}")
    return [_generator(*(int(word) for word in row)) for row in rows]


def _generator(high: int, low: int, inc_high: int, inc_low: int, has_uint32: int, uinteger: int) -> np.random.Generator:
    rng = np_random(0)[0]
    state = {"state": high * WORD + low, "inc": inc_high * WORD + inc_low}
    rng.bit_generator.state = {"bit_generator": "PCG64", "state": state, "has_uint32": has_uint32, "uinteger": uinteger}
    return rng
