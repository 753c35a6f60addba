"""Data: minibatches, and MNIST's files.

An IDX file (LeCun, Cortes & Burges; MNIST, Fashion-MNIST and EMNIST come in it) is a header and an array:

    0 0 type axes          four bytes; type says which numbers, axes how many sizes follow
    size size …            four bytes each, the most significant first
    the numbers            row after row, the most significant byte first

It may be compressed with gzip: that is seen from its first two bytes, not from its name.
"""

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

GZIP = b"\x1f\x8b"
AXES = 32
CHUNK = 2**20  # bytes
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MNIST = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def minibatches(size: int, *arrays, rng: np.random.Generator) -> Iterator[tuple]:
    """Rows of all arrays, `size` at a time, for ever: in a new random order each time all have been seen.

    The last minibatch before a new order holds what is left, so that every row is seen equally often.

    Parameters
    ----------
    size : int
        Rows of a minibatch.
    *arrays : arrays (N, …)
        One row of each belongs together.
    rng : numpy.random.Generator
        Source of the orders.

    Yields
    ------
    tuple of arrays (size, …)
        Copies: one for each array.

    Raises
    ------
    ValueError
        At once, if there are no rows, the arrays have different numbers of them, or size is no positive integer.
    """
    rows = {len(x) for x in arrays}
    if len(rows) != 1 or rows == {0}:
        raise ValueError(f"expected arrays of one length, at least 1, given {[len(x) for x in arrays]}")
    if size != int(size) or size < 1:
        raise ValueError(f"expected a positive minibatch size, given {size}")
    return _minibatches(int(size), arrays, rng)


def _minibatches(size, arrays, rng):
    while True:
        order = rng.permutation(len(arrays[0]))
        for start in range(0, len(order), size):
            yield tuple(x[order[start : start + size]] for x in arrays)


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The array of an IDX file, compressed or not, in this machine's byte order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no IDX file, or holds fewer or more bytes than its header says.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected an IDX file, found none at {path}")
    with path.open("rb") as file:
        if file.read(2) != GZIP:
            file.seek(0)
            return _read_idx(file, path)
    try:
        with gzip.open(path) as file:
            return _read_idx(file, path)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is no complete gzip file: {error}") from error


def _read_idx(file: BinaryIO, path: Path) -> np.ndarray:
    """The array of an open IDX file. No more is read than its header says, whatever a compressed file may hold."""
    blob = file.read(4)
    if len(blob) < 4 or blob[:2] != b"\0\0" or blob[2] not in TYPES:
        raise ValueError(f"{path} is no IDX file: it begins with {blob[:4].hex(' ') or 'nothing'}")
    axes, dtype = blob[3], np.dtype(TYPES[blob[2]])
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise ValueError(f"{path} is truncated: {axes} sizes should follow its first 4 bytes, it has {4 + len(sizes)}")
    if axes > AXES:
        raise ValueError(f"{path} is no IDX file: it has {axes} axes, and NumPy takes at most {AXES}")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    expected, content = dtype.itemsize * math.prod(shape), bytearray()
    while len(content) <= expected and (part := file.read(min(CHUNK, expected + 1 - len(content)))):
        content += part  # memory follows what is there: a header may say anything
    if len(content) != expected:
        state = "truncated: given" if len(content) < expected else "too long: given at least"
        head = 4 + 4 * axes
        raise ValueError(f"{path} is {state} {head + len(content)} bytes, expected {head + expected} for an array {shape}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def load_mnist(folder: str | os.PathLike) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """MNIST, or anything in its four files, as the networks want it.

    Parameters
    ----------
    folder
        Holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each as it
        is or with .gz; train-images.idx3-ubyte and so on will do, too.

    Returns
    -------
    images, labels, test_images, test_labels
        float32 (N, 1, H, W) in [0, 1] and int64 (N,), for training and for testing.

    Raises
    ------
    FileNotFoundError
        If a file is missing; the message names all that are.
    ValueError
        If a file is no complete IDX file, is not what its name says, or two do not fit together.
    """
    paths = [_find(Path(folder), name) for name in MNIST]
    missing = [name for name, path in zip(MNIST, paths) if path is None]
    if missing:
        raise FileNotFoundError(f"expected MNIST's files in {folder}, found no {', '.join(missing)} (with or without .gz)")
    train, test = _images_and_labels(*paths[:2]), _images_and_labels(*paths[2:])
    if train[0].shape[1:] != test[0].shape[1:]:
        raise ValueError(f"expected images of one size, given {train[0].shape[1:]} to train and {test[0].shape[1:]} to test")
    return *train, *test


def _find(folder: Path, name: str) -> Path | None:
    """The file of this name, in one of its spellings."""
    spellings = (name, name.replace("-idx", ".idx"))
    return next((p for s in spellings for p in (folder / s, folder / f"{s}.gz") if p.is_file()), None)


def _images_and_labels(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, axes in ((images_path, images, 3), (labels_path, labels, 1)):
        if array.ndim != axes or array.dtype != np.uint8:
            raise ValueError(f"expected bytes with {axes} axes in {path}, given {array.dtype} {array.shape}")
        if array.size == 0:
            raise ValueError(f"expected something in {path}, given shape {array.shape}")
    if len(images) != len(labels):
        raise ValueError(f"expected a label for each image, given {len(images)} images and {len(labels)} labels in {labels_path}")
    return images[:, None].astype(np.float32) / np.float32(255), labels.astype(np.int64)
