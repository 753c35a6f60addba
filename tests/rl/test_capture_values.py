"""Plain values come back from bytes with their types and bits; anything else is refused."""

import json
from collections import deque

import numpy as np
import pytest

from rl.experience.capture_values import pack, unpack

GENERATORS = [np.random.Generator(bits(3)) for bits in (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64)]
ARRAYS = [np.arange(6, dtype="<f4").reshape(2, 3), np.zeros((0, 3)), np.array(2 + 1j), np.array(2.5), np.array([True, False])]
VALUES = [
    *(None, True, 3, 2**100, -0.0, 1e-320, float("inf"), "ß", "", [], (), {}),
    *(np.float32(0.1), np.float64(0.1), np.int8(3), np.bool_(True)),
    *ARRAYS,
    (1, [2.5, None], {"a": (np.float32(1), {"b": "c"})}),
    deque([1, np.ones(2)], maxlen=5),
    deque(),
]


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray | np.generic):
        assert (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())
    elif isinstance(a, dict):
        assert list(a) == list(b)
        same(tuple(a.values()), tuple(b.values()))
    elif isinstance(a, tuple | list | deque):
        assert getattr(a, "maxlen", None) == getattr(b, "maxlen", None)
        assert len(a) == len(b)
        for pair in zip(a, b, strict=True):
            same(*pair)
    else:
        assert repr(a) == repr(b)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back(value):
    same(unpack(pack(value)), value)


def test_arrays_are_new():
    array = np.ones(3)
    unpack(pack(array))[:] = 0
    packed = pack([array])
    unpack(packed)[0][:] = 0
    np.testing.assert_array_equal(unpack(packed)[0], array)


@pytest.mark.parametrize("rng", GENERATORS, ids=lambda rng: type(rng.bit_generator).__name__)
def test_generators_go_on(rng):
    rng.integers(10, size=3, dtype=np.int32)  # leaves half a word
    again = unpack(pack({"rng": rng}))["rng"]
    np.testing.assert_array_equal(again.integers(2**31, size=5, dtype=np.int32), rng.integers(2**31, size=5, dtype=np.int32))
    np.testing.assert_array_equal(again.normal(size=3), rng.normal(size=3))


@pytest.mark.parametrize(
    "value", [object(), {3: 4}, np.array([None]), np.array(["a"]), {1, 2}, lambda: 3, [np.zeros(2), b"bytes"], 1j]
)
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(ValueError, match="expected numbers, strings, arrays"):
        pack(value)


def packed(form, arrays=b""):
    return {"form": np.frombuffer(json.dumps(form).encode(), np.uint8), "arrays": np.frombuffer(arrays, np.uint8)}


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"array": ["<f8", [2]]},
        {"array": ["<f8", [-1]]},
        {"array": ["O", [1]]},
        {"array": ["<U1", [0]]},
        {"scalar": ["|b1", []]},
        {"array": ["no type", [1]]},
        {"array": ["S1000000000000", [1]]},
        {"array": ["<f8", [10**30]]},
        {"array": 3},
        {"set": [1]},
        {"generator": {"dict": {"bit_generator": "PCG65"}}},
        {"generator": 3},
        {"deque": [2]},
        {"deque": ["two", []]},
        {"a": 1, "b": 2},
    ],
)
def test_what_nobody_packed_is_refused(form):
    with pytest.raises(ValueError, match=r"."):
        unpack(packed(form, b"\x02" * 3))


def test_bytes_that_are_left_over_or_of_another_type_are_refused():
    whole = pack([np.ones(2)])
    for wrong in (packed(3, b"x"), {**whole, "more": whole["form"]}, {"form": whole["form"]}, {**whole, "form": np.zeros(3)}):
        with pytest.raises(ValueError, match="expected"):
            unpack(wrong)


def test_damaged_bytes_are_refused_or_another_value(rng):
    whole = pack(VALUES + GENERATORS)
    for _ in range(400):
        form = whole["form"].copy()
        form[rng.integers(len(form), size=rng.integers(1, 4))] = rng.integers(256, size=1)
        try:
            unpack({**whole, "form": form})
        except ValueError:
            continue
