"""Random generators as an array: the same draws follow, whatever was drawn before."""

import numpy as np
import pytest
from gymnasium.utils.seeding import np_random

from envs.streams import pack_rngs, unpack_rngs


def test_the_same_draws_follow():
    rngs = [np_random(seed)[0] for seed in range(4)]
    for rng in rngs[1:]:
        rng.random(3)
    for rng in rngs[2:]:
        rng.integers(7, dtype=np.uint32)  # leaves half a word
    rows = pack_rngs(rngs, 4)
    assert rows.shape == (4, 6)
    assert rows[:, 4].tolist() == [0, 0, 1, 1]
    for rng, copy in zip(rngs, unpack_rngs(rows), strict=True):
        np.testing.assert_array_equal(copy.integers(1000, size=5, dtype=np.uint32), rng.integers(1000, size=5, dtype=np.uint32))
        np.testing.assert_array_equal(copy.standard_normal(5), rng.standard_normal(5))


def test_none_are_zeros():
    rows = pack_rngs([], 3)
    np.testing.assert_array_equal(rows, np.zeros((3, 6), np.uint64))
    assert unpack_rngs(rows) == []


@pytest.mark.parametrize(("column", "word"), [(3, 2), (4, 2), (5, 2**32)])
def test_what_is_no_generator_is_refused(column, word):
    rows = pack_rngs([np_random(seed)[0] for seed in range(2)], 2)
    rows[1, column] = word
    with pytest.raises(ValueError, match="expected 'rngs' of the state as states of PCG64, given"):
        unpack_rngs(rows)
