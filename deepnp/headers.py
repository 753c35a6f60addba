"""What the header of a safetensors file says: where each array lies, the metadata, the checksums.

A file is eight bytes, the header's length; the header, JSON that gives each array's type, shape and
place; and the arrays' bytes. Nothing of the header is believed before it was compared with the
file's size.

Ours hold two strings in the metadata: "json", and "checksums", CRC-32 of the header (with zeros for
all checksums), then that of each array in the order of the file. Older files hold "crc32" instead,
one checksum of the header and all arrays.
"""

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

HEADER_LIMIT = 16 * 2**20  # bytes; a longer one takes seconds to parse, and nobody's is
DIGITS = 8  # of a checksum
TYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16, "U32": np.uint32, "I32": np.int32,
    "U64": np.uint64, "I64": np.int64, "F16": np.float16, "F32": np.float32, "F64": np.float64, "C64": np.complex64,
}  # fmt: skip
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}
OURS, OLD = b'"checksums":"', b'"crc32":"'


class UnknownNumbersError(ValueError):
    """An array of numbers that NumPy does not know."""


class ChangedError(ValueError):
    """Something is not what was written: its checksum is another."""


class Place(NamedTuple):
    """What a header says of one array."""

    start: int
    end: int
    name: str
    kind: str
    shape: tuple[int, ...]


class Header(NamedTuple):
    """What a header says.

    Attributes
    ----------
    places : list of Place
        In the order of the file.
    metadata : dict
        The settings.
    checksums : list of str
        Of each array; empty where the file has none.
    old_checksum : tuple of (str, int) or None
        Of older files: what was written, and the checksum of the header alone, to go on from.
    start : int
        Where the arrays begin.
    """

    places: list[Place]
    metadata: dict[str, Any]
    checksums: list[str]
    old_checksum: tuple[str, int] | None
    start: int


def write_header(file: BinaryIO, arrays: Mapping[str, Any], metadata: dict) -> "UnsignedHeader":
    """Write the header for some arrays, each a name and what has a shape and a dtype, in this order.

    Raises
    ------
    ValueError
        For an array whose numbers the format does not know, or a header that would be too long.
    """
    zeros = " ".join(["0" * DIGITS] * (1 + len(arrays)))
    header: dict[str, Any] = {"__metadata__": {"checksums": zeros, "json": json.dumps(metadata)}}
    start = 0
    for name, x in arrays.items():
        kind = NAMES.get(x.dtype.newbyteorder("="))
        if kind is None or name == "__metadata__":
            raise ValueError(f"expected numbers that safetensors knows, given {x.dtype} in {name!r}")
        end = start + math.prod(x.shape) * x.dtype.itemsize
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [start, end]}
        start = end
    blob = json.dumps(header, separators=(",", ":")).encode()
    blob += b" " * (-len(blob) % 8)
    if len(blob) > HEADER_LIMIT:
        raise ValueError(f"expected a header of at most {HEADER_LIMIT} bytes, given metadata and names that make {len(blob)}")
    file.write(struct.pack("<Q", len(blob)) + blob)
    return UnsignedHeader(8 + blob.index(OURS) + len(OURS), zlib.crc32(blob))


class UnsignedHeader(NamedTuple):
    """A header that was written with zeros for its checksums."""

    place: int  # of the checksums, in the file
    own: int  # checksum of the header

    def sign(self, file: BinaryIO, checksums: Sequence[int]) -> None:
        """Put the header's checksum and the arrays' in the place of the zeros."""
        file.seek(self.place)
        file.write(b" ".join(b"%08x" % crc for crc in (self.own, *checksums)))


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the header of a file of `size` bytes.

    Raises
    ------
    ChangedError
        If it is not what was written.
    UnknownNumbersError
        For arrays of numbers that NumPy does not know.
    ValueError
        If it is damaged.
    """
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
    places = _places(header, size - 8 - length)
    checksums, old = _checksums(extra, blob, len(places))
    return Header(places, metadata, checksums, old, 8 + length)


def _checksums(extra: dict[str, str], blob: bytes, arrays: int) -> tuple[list[str], tuple[str, int] | None]:
    """The arrays' checksums, or the one of older files; the header's own is compared here."""
    if "checksums" in extra:
        text = extra["checksums"]
        own, *others = text.split(" ")
        if len(others) != arrays or len(text) != (DIGITS + 1) * (1 + arrays) - 1:
            raise ChangedError("the list of its checksums")
        if f"{_unsigned(blob, OURS, text):08x}" != own:
            raise ChangedError("its header")
        return others, None
    if "crc32" in extra:
        return [], (extra["crc32"], _unsigned(blob, OLD, extra["crc32"]))
    return [], None


def _unsigned(blob: bytes, key: bytes, text: str) -> int:
    """The checksum of a header as it was before its checksums were written into it."""
    zeros = "".join(" " if c == " " else "0" for c in text)
    return zlib.crc32(blob.replace(key + text.encode(), key + zeros.encode(), 1))


def _unique(pairs: list[tuple]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("its header names something twice")
    return content


def _places(header: dict, size: int) -> list[Place]:
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


def _place(name: str, entry) -> Place:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"what its header says of {name!r} is incomplete")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
            raise ValueError(f"the sizes of {name!r} are not whole numbers")
    if not isinstance(kind, str) or len(offsets) != 2 or len(shape) > 32 or math.prod(max(n, 1) for n in shape) >= 2**59:
        raise ValueError(f"what its header says of {name!r} makes no sense")
    if kind not in TYPES and kind != "BF16":
        raise UnknownNumbersError(f"{kind} in {name!r}")
    itemsize = 2 if kind == "BF16" else np.dtype(TYPES[kind]).itemsize
    if offsets[1] - offsets[0] != itemsize * math.prod(shape):
        raise ValueError(f"{name!r} of shape {tuple(shape)} does not fit its place")
    return Place(offsets[0], offsets[1], name, kind, tuple(shape))
