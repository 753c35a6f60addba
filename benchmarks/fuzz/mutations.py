"""How files are changed: bytes anywhere, numbers and words of text, arrays and settings of agents."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

JUNK = (b"[" * 3000, b"9" * 400, b'{"a":', b"null", b"-1", b"1e999", b"NaN", b"\0" * 40, b"\xff\xfe", b"\n", b",,", b'"')
NUMBERS = ("-1", "0", "1e999", "-1e999", "NaN", "1e30", "9" * 30, "9" * 5000, "0.5", "true", "null", '"7"', "[]", "{}", "1_0", "٣")
VALUES: tuple[Any, ...] = (
    None, True, "", "x", -1, 0, 1, 3, 0.5, 1e30, 10**6, 10**9, 10**15, 10**30, float("nan"), float("inf"), -float("inf"), [], [-1],
    [10**9], [[1]], {}, {"a": {"b": [1]}}, "function", {"function": "os.system"}, {"linear": {"start": 1, "end": 2}}, "é" * 1000,
)  # fmt: skip


def changed_bytes(whole: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes of bytes: bits, spans overwritten, cut out, doubled, swapped; the end cut off; something inserted."""
    content = bytearray(whole)
    for _ in range(rng.integers(1, 4)):
        if not content:
            break
        place = int(rng.integers(len(content) if rng.random() < 0.5 else min(len(content), 4000)))
        length = int(2 ** rng.uniform(0, 11))
        span = content[place : place + length]
        match rng.integers(8):
            case 0 | 1:
                content[place] ^= 1 << int(rng.integers(8))
            case 2:
                content[place : place + length] = rng.bytes(len(span))
            case 3:
                del content[place : place + length]
            case 4:
                content[place:place] = span
            case 5:
                other = int(rng.integers(len(content)))
                content[place : place + length], content[other : other + length] = content[other : other + length], span
            case 6:
                del content[place:]
            case 7:
                content[place:place] = JUNK[rng.integers(len(JUNK))]
    return bytes(content)


def changed_text(whole: bytes, rng: np.random.Generator) -> bytes:
    """Changes of bytes, or of a number, a word or a line."""
    numbers = list(re.finditer(rb"-?\d[\d_.e+-]*|true|false|null", whole))
    lines = whole.splitlines(keepends=True)
    match rng.integers(4):
        case 0 if numbers:
            found = numbers[rng.integers(len(numbers))]
            return whole[: found.start()] + NUMBERS[rng.integers(len(NUMBERS))].encode() + whole[found.end() :]
        case 1 if len(lines) > 1:
            a, b = rng.integers(len(lines), size=2)
            lines[a], lines[b] = lines[b], lines[a]
            return b"".join(lines[: len(lines) - int(rng.integers(2))])
        case 2 if lines:
            return b"".join(lines) + lines[rng.integers(len(lines))] * int(10 ** rng.uniform(0, 4))
    return changed_bytes(whole, rng)


def changed_tensors(tensors: dict, metadata: dict, rng: np.random.Generator) -> tuple[dict, dict]:
    """A change of the arrays or of the settings of an agent."""
    if rng.random() < 0.5:
        return tensors, changed_json(metadata, rng)
    tensors = dict(tensors)
    name = list(tensors)[rng.integers(len(tensors))]
    array = tensors.pop(name)
    match rng.integers(8):
        case 0:
            return tensors, metadata
        case 1:
            tensors[f"{name}x"] = array
        case 2:
            tensors[name] = array.astype([np.float64, np.int64, np.uint8, np.bool_, np.complex64, np.float16][rng.integers(6)])
        case 3:
            tensors[name] = np.concatenate([array.ravel()] * 2)[: max(array.size + int(rng.integers(-2, 3)), 0)]
        case 4:
            tensors[name] = array[None] if rng.random() < 0.5 else array.reshape(-1)
        case 5:
            tensors[name] = np.full_like(array, [0, 1, 100][rng.integers(3)])
        case 6:
            other = list(tensors)[rng.integers(len(tensors))]
            tensors[name], tensors[other] = tensors[other], array
        case 7:
            array = np.array(array)
            if array.size:
                with np.errstate(all="ignore"):
                    array.flat[rng.integers(array.size)] = (
                        [-1, 1e30, np.nan, np.inf, 10**9][rng.integers(5)] if array.dtype.kind == "f" else 100
                    )
            tensors[name] = array
    return tensors, metadata


def changed_json(content: dict, rng: np.random.Generator) -> dict:
    """A copy in which one value, anywhere, is another, or is gone, or has another name."""
    content = json.loads(json.dumps(content))
    places = list(_places(content))
    holder, key = places[rng.integers(len(places))]
    match rng.integers(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        case _:
            holder[key] = VALUES[rng.integers(len(VALUES))]
    return content


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every value inside, as what holds it and its key."""
    for key in list(content) if isinstance(content, dict) else range(len(content)):
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])
