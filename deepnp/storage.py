"""Arrays as safetensors, settings as JSON. Nothing is pickled.

PyTorch reads and writes the same files with `safetensors.torch`. Ours also hold a checksum of the
header and of each array (see headers.py): a bit that has changed is named.

Arrays are written and read about a megabyte at a time, straight from and into their memory: saving
and loading a replay memory need no second one.
"""

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from deepnp.backend import to_device
from deepnp.checks import check_array, check_named
from deepnp.files import write_atomically
from deepnp.headers import TYPES, ChangedError, Header, Place, UnknownNumbersError, read_header, write_header

__all__ = [
    "Pieces",
    "StoredArray",
    "TensorFile",
    "chunks",
    "load_metadata",
    "load_tensors",
    "save_json",
    "save_tensors",
    "write_atomically",
]

CHUNK = 2**20  # bytes that are read at a time, and stay in the processor's cache; between two of them Ctrl-C is heard


class Pieces:
    """An array (R, …) whose rows lie in several places: it is saved without being put together.

    `numpy.asarray` puts it together.

    Parameters
    ----------
    pieces : sequence of array (r_i, …)
        At least one; of one type, and of one shape but for their first axis. R = Σ r_i.
    """

    def __init__(self, pieces: Sequence[np.ndarray]):
        self.pieces = tuple(pieces)
        self.dtype: np.dtype = self.pieces[0].dtype
        self.shape: tuple[int, ...] = (sum(map(len, self.pieces)), *self.pieces[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.concatenate(self.pieces, dtype=dtype, casting="unsafe")


def save_tensors(path: str | os.PathLike, tensors: Mapping, metadata: dict | None = None) -> None:
    """Write arrays and JSON-able metadata to one safetensors file, atomically.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    tensors : dict of str to array
        NumPy, CuPy or `Pieces`.
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
    write_atomically(path, lambda file: _write(file, {name: tensors[name] for name in order}, metadata or {}))


def _write(file: BinaryIO, tensors: dict, metadata: dict) -> None:
    header, checksums = write_header(file, tensors, metadata), []
    for x in tensors.values():
        crc = 0
        for part in _bytes(x):
            file.write(part)
            crc = _crc(part, crc)
        checksums.append(crc)
    header.sign(file, checksums)


def _bytes(x) -> Iterator[memoryview]:
    """The bytes of an array as a file holds them: little-endian, one piece after the other."""
    for piece in x.pieces if isinstance(x, Pieces) else (x,):
        flat = np.ascontiguousarray(to_device(piece, "cpu")).reshape(-1)
        yield memoryview(flat.astype(flat.dtype.newbyteorder("<"), copy=False).view(np.uint8))


def _crc(part: memoryview, crc: int) -> int:
    for start in range(0, len(part), CHUNK):
        crc = zlib.crc32(part[start : start + CHUNK], crc)
    return crc


class TensorFile(Mapping[str, "StoredArray"]):
    """A safetensors file, open and found whole: its arrays, by name, are read when they are asked for.

        with TensorFile(path) as file:
            weight = numpy.asarray(file["0.weight"])

    Parameters
    ----------
    path
        The file. All of it is read once, to compare the checksums.
    without : str, optional
        Arrays whose names begin so are left out: neither read nor compared, and not among the names.

    Attributes
    ----------
    metadata : dict
    signed : bool
        Whether the file holds checksums: ours do.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is truncated, changed, or no safetensors file at all, or holds numbers that NumPy does
        not know. The message names the array that has changed.
    """

    def __init__(self, path: str | os.PathLike, without: str | None = None):
        self._file, header = _open(path)
        wanted = [without is None or not place.name.startswith(without) for place in header.places]
        try:
            _check_sums(self._file, header, wanted)
        except (ValueError, OSError) as error:
            self._file.close()
            raise _explained(path, error) from error
        self.metadata = header.metadata
        self.signed = bool(header.old_checksum or header.checksums)
        self._arrays = {p.name: StoredArray(self._file, p, header.start) for p in compress(header.places, wanted)}

    def __getitem__(self, name: str) -> "StoredArray":
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class StoredArray:
    """An array in an open file: `numpy.asarray` reads all of it, a slice reads some rows; bfloat16 comes as float32.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    def __init__(self, file: BinaryIO, place: Place, start: int):
        self._file, self._place, self._start = file, place, start + place.start
        self._stored = np.dtype("<u2" if place.kind == "BF16" else TYPES[place.kind]).newbyteorder("<")
        self.shape = place.shape
        self.dtype = np.dtype(np.float32 if place.kind == "BF16" else TYPES[place.kind])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        row = (self._place.end - self._place.start) // max(len(self), 1)
        return self._read((max(stop - start, 0), *self.shape[1:]), start * row)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        x = self._read(self.shape, 0)
        return x if dtype is None else x.astype(dtype, copy=False)

    def _read(self, shape: tuple[int, ...], offset: int) -> np.ndarray:
        x = np.empty(shape, self._stored)
        part = memoryview(x.reshape(-1).view(np.uint8))
        self._file.seek(self._start + offset)
        if self._file.readinto(part) != len(part):
            raise ValueError(f"expected a file that nobody shortens, found the end within {self._place.name!r}")
        if self._place.kind == "BF16":  # the upper half of a float32
            return (x.astype(np.uint32) << 16).view(np.float32)
        if self._place.kind == "BOOL":
            np.not_equal(part, 0, out=x.reshape(-1))  # a byte of 2 is no Boolean to NumPy
        return x.astype(self.dtype, copy=False)


def chunks(x) -> Iterator[np.ndarray]:
    """An array, `Pieces` or a `StoredArray`, about a megabyte of its rows at a time."""
    for piece in x.pieces if isinstance(x, Pieces) else (x,):
        if not piece.shape:
            yield np.asarray(piece)
            continue
        rows = max(CHUNK // max(math.prod(piece.shape[1:]) * piece.dtype.itemsize, 1), 1)
        for start in range(0, len(piece), rows):
            yield piece[start : start + rows]


def load_tensors(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and metadata of a safetensors file; bfloat16, which NumPy lacks, comes as float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        As `TensorFile`.
    """
    with TensorFile(path) as file:
        return {name: np.asarray(x) for name, x in file.items()}, file.metadata


def load_metadata(path: str | os.PathLike) -> dict:
    """The metadata alone of a safetensors file, at once: its arrays are neither read nor checked.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If its header is damaged.
    """
    file, header = _open(path)
    file.close()
    return header.metadata


def _open(path: str | os.PathLike) -> tuple[BinaryIO, Header]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a safetensors file, found none at {path}")
    file = path.open("rb")
    try:
        return file, read_header(file, os.fstat(file.fileno()).st_size)
    except BaseException as error:
        file.close()
        if isinstance(error, ValueError | OSError | RecursionError):  # RecursionError: JSON of a million brackets
            raise _explained(path, error) from error
        raise


def _explained(path: str | os.PathLike, error: Exception) -> ValueError:
    if isinstance(error, UnknownNumbersError):
        return ValueError(f"{path} holds numbers that NumPy does not know: {error}")
    if isinstance(error, ChangedError):
        return ValueError(f"{path} is damaged: {error} has changed since it was written")
    return ValueError(f"{path} is not a complete safetensors file: {error}")


def _check_sums(file: BinaryIO, header: Header, wanted: list[bool]) -> None:
    """Read the wanted arrays, or all where a checksum is one of all of them, and compare it with what was written."""
    buffer = memoryview(bytearray(CHUNK if header.checksums or header.old_checksum else 0))
    crc = header.old_checksum[1] if header.old_checksum else 0
    for i, place in enumerate(header.places if buffer else ()):
        if header.checksums and not wanted[i]:
            continue
        file.seek(header.start + place.start)
        crc = _crc_of(file, place, 0 if header.checksums else crc, buffer)
        if header.checksums and f"{crc:08x}" != header.checksums[i]:
            raise ChangedError(repr(place.name))
    if header.old_checksum and f"{crc:08x}" != header.old_checksum[0]:
        raise ChangedError("something in it")


def _crc_of(file: BinaryIO, place: Place, crc: int, buffer: memoryview) -> int:
    left = place.end - place.start
    while left:
        count = file.readinto(buffer[: min(left, len(buffer))])
        if not count:
            raise ValueError(f"it ends within {place.name!r}")
        crc = zlib.crc32(buffer[:count], crc)
        left -= count
    return crc


def save_json(path: str | os.PathLike, content: dict) -> None:
    """Write `content` as indented JSON, atomically."""
    write_atomically(path, lambda file: file.write((json.dumps(content, indent=2) + "\n").encode()))
