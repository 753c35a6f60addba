"""MNIST's files are read as they are written, and refused when they are not whole; minibatches leave nobody out."""

import gzip
import struct
import tracemalloc
from itertools import islice

import numpy as np
import pytest

from deepnp.data import MNIST, TYPES, load_mnist, minibatches, read_idx

CODES = {np.dtype(kind).newbyteorder("="): code for code, kind in TYPES.items()}


def idx(array) -> bytes:
    """An IDX file, written from its description and not from the reader."""
    header = struct.pack(">BBBB", 0, 0, CODES[array.dtype], array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + np.asarray(array, array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def folder(tmp_path, rng):
    """A small MNIST: 5 images to train on, 3 to test."""
    for i, rows in enumerate((5, 3)):
        (tmp_path / MNIST[2 * i]).write_bytes(idx(rng.integers(256, size=(rows, 4, 6)).astype(np.uint8)))
        (tmp_path / MNIST[2 * i + 1]).write_bytes(idx(rng.integers(10, size=rows).astype(np.uint8)))
    return tmp_path


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("shape", [(3, 2, 4), (7,), (0, 5), ()])
def test_every_type_and_shape_is_read(kind, shape, tmp_path, rng):
    array = np.asarray(rng.integers(0 if kind.kind == "u" else -128, 128, shape), kind)
    (tmp_path / "plain").write_bytes(idx(array))
    (tmp_path / "packed").write_bytes(gzip.compress(idx(array)))
    for name in ("plain", "packed"):
        read = read_idx(tmp_path / name)
        assert read.dtype == array.dtype
        assert read.dtype.isnative
        np.testing.assert_array_equal(read, array)


def test_a_file_byte_by_byte(tmp_path):
    (tmp_path / "a").write_bytes(bytes([0, 0, 11, 2, 0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 255, 254]))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), [[258], [-2]])


WHOLE = idx(np.arange(6, dtype=np.int32).reshape(2, 3))


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "no IDX file: it begins with nothing"),
        (b"\0\0\x08", "no IDX file: it begins with 00 00 08"),
        (b"\x89PNG\r\n\x1a\n", "no IDX file: it begins with 89 50 4e 47"),
        (b"\0\0\x0a\x01" + WHOLE[4:], "no IDX file: it begins with 00 00 0a 01"),
        (WHOLE[:9], "truncated: 2 sizes should follow its first 4 bytes, it has 9"),
        (WHOLE[:-1], r"truncated: given 35 bytes, expected 36 for an array \(2, 3\)"),
        (WHOLE + b"\0", r"too long: given at least 37 bytes, expected 36 for an array \(2, 3\)"),
        (struct.pack(">BBBBII", 0, 0, 14, 2, 2**32 - 1, 2**32 - 1), "truncated: .* expected 147573952520956936212 for"),
        (gzip.compress(WHOLE, mtime=0)[:-9], "no complete gzip file"),
        (gzip.compress(WHOLE, mtime=0)[:12] + b"\xff" * 20, "no (complete gzip|IDX) file"),
    ],
)
def test_what_is_no_whole_idx_file_is_refused(blob, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(blob)
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_mnist(folder):
    images, labels, test_images, test_labels = load_mnist(folder)
    assert (images.shape, test_images.shape) == ((5, 1, 4, 6), (3, 1, 4, 6))
    assert (images.dtype, labels.dtype, test_images.dtype, test_labels.dtype) == (np.float32, np.int64, np.float32, np.int64)
    np.testing.assert_array_equal(images[:, 0] * 255, read_idx(folder / MNIST[0]))
    np.testing.assert_array_equal(test_labels, read_idx(folder / MNIST[3]))


def test_mnist_in_other_spellings(folder):
    before = load_mnist(folder)
    for name, spelling in zip(MNIST, ("train-images.idx3-ubyte", "train-labels.idx1-ubyte.gz", MNIST[2] + ".gz", MNIST[3])):
        blob = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / spelling).write_bytes(gzip.compress(blob) if spelling.endswith(".gz") else blob)
    for given, expected in zip(load_mnist(folder), before, strict=True):
        np.testing.assert_array_equal(given, expected)


def test_missing_files_are_all_named(folder, tmp_path):
    for name in MNIST[1:3]:
        (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"found no {MNIST[1]}, {MNIST[2]} "):
        load_mnist(folder)
    with pytest.raises(FileNotFoundError, match="found none at"):
        read_idx(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (MNIST[0], np.zeros((4, 4, 6), np.uint8), "4 images and 5 labels"),
        (MNIST[0], np.zeros(5, np.uint8), r"bytes with 3 axes in .*train-images.*, given uint8 \(5,\)"),
        (MNIST[1], np.zeros(5, np.int32), r"bytes with 1 axes in .*train-labels.*, given int32 \(5,\)"),
        (MNIST[2], np.zeros((3, 4, 5), np.uint8), r"of one size, given \(1, 4, 6\) to train and \(1, 4, 5\) to test"),
        (MNIST[3], np.zeros(0, np.uint8), "expected something in .*t10k-labels"),
    ],
)
def test_files_that_do_not_fit_are_refused(name, array, message, folder):
    (folder / name).write_bytes(idx(array))
    with pytest.raises(ValueError, match=message):
        load_mnist(folder)


class TestMinibatches:
    def test_every_row_once_an_epoch(self, rng):
        x = np.arange(11)
        epochs = [list(islice(minibatches(4, x, -x, rng=rng), 9))[i : i + 3] for i in (0, 3, 6)]
        for epoch in epochs:
            assert [len(a) for a, _ in epoch] == [4, 4, 3]
            for a, b in epoch:
                np.testing.assert_array_equal(a, -b)
            np.testing.assert_array_equal(np.sort(np.concatenate([a for a, _ in epoch])), x)
        orders = {tuple(np.concatenate([a for a, _ in epoch])) for epoch in epochs}
        assert len(orders) == 3

    def test_the_generator_decides(self):
        first, second = (list(islice(minibatches(3, np.arange(8), rng=np.random.default_rng(5)), 4)) for _ in range(2))
        for (a,), (b,) in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_larger_than_the_data(self, rng):
        ((x,),) = islice(minibatches(100, np.arange(3), rng=rng), 1)
        np.testing.assert_array_equal(np.sort(x), np.arange(3))

    @pytest.mark.parametrize(
        ("size", "arrays", "message"),
        [
            (4, (np.zeros(3), np.zeros((4, 2))), r"one length, at least 1, given \[3, 4\]"),
            (4, (np.zeros(0),), r"at least 1, given \[0\]"),
            (4, (), r"at least 1, given \[\]"),
            (0, (np.zeros(3),), "positive minibatch size, given 0"),
            (2.5, (np.zeros(3),), "positive minibatch size, given 2.5"),
        ],
    )
    def test_bad_input_is_refused_at_once(self, size, arrays, message, rng):
        with pytest.raises(ValueError, match=message):
            minibatches(size, *arrays, rng=rng)


def test_a_compressed_bomb_is_refused_without_being_unpacked(tmp_path):
    for header in (b"\0\0\x08\x01" + (10).to_bytes(4, "big"), b"\0\0\x08\x02" + b"\xff" * 8, b"\0\0\x0e\xff" + b"\xff" * 1020):
        path = tmp_path / "bomb.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(header)
            for _ in range(64):
                file.write(b"\0" * 2**20)
        tracemalloc.start()
        with pytest.raises(ValueError, match=r"too long|truncated|axes"):
            read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 150e6


def test_numpys_numbers_are_numbers(rng):
    assert len(next(minibatches(np.int64(3), np.arange(10), rng=rng))[0]) == 3
    assert len(next(minibatches(3.0, np.arange(10), rng=rng))[0]) == 3
