"""Plain values as two arrays of bytes, so that a file can hold them without pickling.

    form      JSON: the value, with the type and shape of each array in its place
    arrays    the bytes of these arrays, one after the other

A plain value is None, a bool, a number, a string, a NumPy array or scalar of numbers, a random
generator, or a tuple, list, deque or dict (with strings as keys) of plain values. It comes back
with the same types and the same bits; only a NumPy string becomes a Python one.
"""

import json
import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

KINDS = "biufc"  # of arrays; one of objects or strings is not plain
GENERATORS = {g.__name__: g for g in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64)}
PARTS = {"form", "arrays"}


def pack(value: Any) -> dict[str, np.ndarray]:
    """A plain value as bytes.

    Parameters
    ----------
    value
        Plain, see above.

    Returns
    -------
    dict
        "form" and "arrays", both uint8.

    Raises
    ------
    ValueError
        If something in it is not plain.
    """
    arrays: list[bytes] = []
    form = json.dumps(_form(value, arrays)).encode()
    return {"form": np.frombuffer(form, np.uint8), "arrays": np.frombuffer(b"".join(arrays), np.uint8)}


def unpack(packed: Mapping[str, np.ndarray]) -> Any:
    """The value that was packed; its arrays are new.

    Raises
    ------
    ValueError
        If this is not what `pack` returns.
    """
    if packed.keys() != PARTS or any(np.ndim(a) != 1 or np.asarray(a).dtype != np.uint8 for a in packed.values()):
        raise ValueError(f"expected {sorted(PARTS)} as bytes, given {sorted(packed)}")
    try:
        reader = _Reader(packed["arrays"].tobytes())
        value = reader.value(json.loads(packed["form"].tobytes()))
    except (KeyError, TypeError, IndexError, OverflowError, RecursionError, AttributeError) as error:
        raise ValueError(f"expected a packed value, given one that is not whole: {type(error).__name__} {error}") from error
    if reader.place != len(reader.content):
        raise ValueError(f"expected {reader.place} bytes of arrays, given {len(reader.content)}")
    return value


def _form(value, arrays):
    """The value as JSON knows it; what goes into `arrays` is appended there."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float) and not isinstance(value, np.generic):
        return value
    if isinstance(value, np.random.Generator):
        return {"generator": _form(value.bit_generator.state, arrays)}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in KINDS:
        arrays.append(value.tobytes())
        return {"array" if isinstance(value, np.ndarray) else "scalar": [value.dtype.str, list(value.shape)]}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_form(item, arrays) for item in value]}
    if isinstance(value, deque):
        return {"deque": [value.maxlen, [_form(item, arrays) for item in value]]}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _form(item, arrays) for key, item in value.items()}}
    raise ValueError(f"expected numbers, strings, arrays, and tuples, lists or dicts of them, given {type(value).__name__}")


class _Reader:
    """Makes values of forms; each array takes the next bytes."""

    def __init__(self, content: bytes):
        self.content, self.place = content, 0

    def value(self, form: Any) -> Any:
        if not isinstance(form, dict):
            return form
        ((kind, content),) = form.items()
        if kind == "generator":
            return self._generator(self.value(content))
        if kind in ("array", "scalar"):
            array = self._array(*content)
            return array if kind == "array" else array[()]
        if kind == "deque":
            return deque((self.value(item) for item in content[1]), content[0])
        if kind == "dict":
            return {key: self.value(item) for key, item in content.items()}
        items = [self.value(item) for item in content]
        return {"tuple": tuple, "list": list}[kind](items)

    def _array(self, name: str, shape: list[int]) -> np.ndarray:
        dtype = np.dtype(name)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in KINDS or min(shape, default=0) < 0 or self.place + size > len(self.content):
            raise ValueError(f"expected the bytes of an array {name} of shape {shape}, given {len(self.content) - self.place}")
        array = np.frombuffer(self.content[self.place : self.place + size], dtype).reshape(shape).copy()
        if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
            raise ValueError("expected 0 or 1 for each bool of an array")
        self.place += size
        return array

    def _generator(self, state: dict[str, Any]) -> np.random.Generator:
        bits: Any = GENERATORS[state["bit_generator"]]()
        bits.state = state
        return np.random.Generator(bits)
