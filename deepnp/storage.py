"""Arrays as safetensors, settings as JSON. Nothing is pickled.

A safetensors file is eight bytes, the header's length; the header, JSON that gives each array's type, shape and place; and the
arrays' bytes. PyTorch reads and writes the same files with `safetensors.torch`. Ours also hold a checksum, CRC-32 of the header
(with zeros for the checksum itself) and all arrays: a file in which a bit has changed is refused.

Arrays are written and read one by one, straight from and into their memory: saving a replay memory needs no second one.
"""

import json
import math
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from deepnp.backend import to_device
from deepnp.checks import check_array, check_named
from deepnp.files import write_atomically

__all__ = ["load_metadata", "load_tensors", "save_json", "save_tensors", "write_atomically"]

HEADER_LIMIT = 16 * 2**20  # bytes; a longer one takes seconds to parse, and nobody's is
CHUNK = 2**24  # bytes; between two chunks of a checksum Ctrl-C is heard
CRC = b'"crc32":"'
TYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16, "U32": np.uint32, "I32": np.int32,
    "U64": np.uint64, "I64": np.int64, "F16": np.float16, "F32": np.float32, "F64": np.float64, "C64": np.complex64,
}  # fmt: skip
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}


def save_tensors(path: str | os.PathLike, tensors: Mapping, metadata: dict | None = None) -> None:
    """Write arrays and JSON-able metadata to one safetensors file, atomically.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    tensors : dict of str to array
        NumPy or CuPy.
    metadata : dict
        Stored as JSON under the key "json".

    Raises
    ------
    ValueError
        For an array whose numbers the format does not know.
    TypeError
        For what is no array.
    """
    check_named(tensors)
    for name, x in tensors.items():
        check_array(x, repr(name))
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))  # so every array lies aligned
    header, start = {"__metadata__": {"json": json.dumps(metadata or {}), "crc32": "0" * 8}}, 0
    for name in order:
        x = tensors[name]
        kind = NAMES.get(x.dtype.newbyteorder("="))
        if kind is None or name == "__metadata__":
            raise ValueError(f"expected numbers that safetensors knows, given {x.dtype} in {name!r}")
        end = start + x.size * x.dtype.itemsize
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [start, end]}
        start = end
    blob = json.dumps(header, separators=(",", ":")).encode()
    blob += b" " * (-len(blob) % 8)
    if len(blob) > HEADER_LIMIT:
        raise ValueError(f"expected a header of at most {HEADER_LIMIT} bytes, given metadata and names that make {len(blob)}")
    write_atomically(path, lambda file: _write(file, blob, (tensors[name] for name in order)))


def _write(file: BinaryIO, header: bytes, arrays) -> None:
    file.write(struct.pack("<Q", len(header)) + header)
    crc = zlib.crc32(header)
    for x in arrays:
        x = np.ascontiguousarray(to_device(x, "cpu")).reshape(-1)
        part = memoryview(x.astype(x.dtype.newbyteorder("<"), copy=False).view(np.uint8))
        file.write(part)
        crc = _crc(part, crc)
    file.seek(8 + header.index(CRC) + len(CRC))
    file.write(b"%08x" % crc)


def _crc(part: memoryview, crc: int) -> int:
    for start in range(0, len(part), CHUNK):
        crc = zlib.crc32(part[start : start + CHUNK], crc)
    return crc


def load_tensors(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and metadata of a safetensors file; bfloat16, which NumPy lacks, comes as float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is truncated, changed, or no safetensors file at all, or holds numbers that NumPy does not know.
    """
    return _reading(path, _read)


def load_metadata(path: str | os.PathLike) -> dict:
    """The metadata alone of a safetensors file, at once: its arrays are neither read nor checked.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If its header is damaged.
    """
    return _reading(path, lambda file, size: _read_header(file, size)[1])


def _reading(path: str | os.PathLike, read: Callable[[BinaryIO, int], Any]) -> Any:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a safetensors file, found none at {path}")
    try:
        with path.open("rb") as file:
            return read(file, path.stat().st_size)
    except _UnknownNumbersError as error:
        raise ValueError(f"{path} holds numbers that NumPy does not know: {error}") from error
    except (ValueError, OSError, RecursionError) as error:  # RecursionError: JSON of a million brackets
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from error


class _UnknownNumbersError(ValueError):
    pass


class _Place(NamedTuple):
    """What a header says of one array."""

    start: int
    end: int
    name: str
    kind: str
    shape: tuple[int, ...]


def _read(file: BinaryIO, size: int) -> tuple[dict[str, np.ndarray], dict]:
    places, metadata, stored, crc = _read_header(file, size)
    tensors = {}
    for place in places:
        tensors[place.name], crc = _read_array(file, place, crc)
    if stored is not None and stored != f"{crc:08x}":
        raise ValueError(f"its checksum is {crc:08x} where {stored} was written: it has changed since")
    return tensors, metadata


def _read_header(file: BinaryIO, size: int) -> tuple[list[_Place], dict, str | None, int]:
    """Where the arrays lie, the metadata, the checksum that was written, and that of the header."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > size - 8:
        raise ValueError("it ends within its header")
    if length > HEADER_LIMIT:
        raise ValueError(f"its header is longer than {HEADER_LIMIT} bytes")
    blob = file.read(length)
    header = json.loads(blob, object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    extra = header.pop("__metadata__", {})
    if not isinstance(extra, dict) or not all(isinstance(value, str) for value in extra.values()):
        raise ValueError("its metadata is no JSON object of strings")
    metadata = json.loads(extra.get("json", "{}"))
    if not isinstance(metadata, dict):
        raise ValueError("its settings are no JSON object")
    stored = extra.get("crc32")
    crc = 0 if stored is None else zlib.crc32(blob.replace(CRC + stored.encode(), CRC + b"0" * 8, 1))
    return _places(header, size - 8 - length), metadata, stored, crc


def _unique(pairs: list[tuple]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("its header names something twice")
    return content


def _places(header: dict, size: int) -> list[_Place]:
    """What the header says, in the order of the file; checked before anything is allocated: the arrays fill the file exactly."""
    places = sorted(_place(name, entry) for name, entry in header.items())
    end = 0
    for place in places:
        if place.start != end:
            raise ValueError(f"its arrays do not follow one another at {place.name!r}")
        end = place.end
    if end != size:
        raise ValueError(f"expected {end} bytes of arrays, found {size}")
    return places


def _place(name: str, entry) -> _Place:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"what its header says of {name!r} is incomplete")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
            raise ValueError(f"the sizes of {name!r} are not whole numbers")
    if not isinstance(kind, str) or len(offsets) != 2 or len(shape) > 32:
        raise ValueError(f"what its header says of {name!r} makes no sense")
    if kind not in TYPES and kind != "BF16":
        raise _UnknownNumbersError(f"{kind} in {name!r}")
    itemsize = 2 if kind == "BF16" else np.dtype(TYPES[kind]).itemsize
    if offsets[1] - offsets[0] != itemsize * math.prod(shape):
        raise ValueError(f"{name!r} of shape {tuple(shape)} does not fit its place")
    return _Place(*offsets, name, kind, tuple(shape))


def _read_array(file: BinaryIO, place: _Place, crc: int) -> tuple[np.ndarray, int]:
    stored = np.dtype("<u2" if place.kind == "BF16" else TYPES[place.kind]).newbyteorder("<")
    x = np.empty(place.shape, stored)
    part = memoryview(x.reshape(-1).view(np.uint8))
    if file.readinto(part) != len(part):
        raise ValueError(f"it ends within {place.name!r}")
    crc = _crc(part, crc)
    if place.kind == "BF16":  # the upper half of a float32
        x = (x.astype(np.uint32) << 16).view(np.float32)
    elif place.kind == "BOOL":
        np.not_equal(part, 0, out=x.reshape(-1))  # a byte of 2 is no Boolean to NumPy
    return x.astype(x.dtype.newbyteorder("="), copy=False), crc


def save_json(path: str | os.PathLike, content: dict) -> None:
    """Write `content` as indented JSON, atomically."""
    write_atomically(path, lambda file: file.write((json.dumps(content, indent=2) + "\n").encode()))
