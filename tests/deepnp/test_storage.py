"""Files survive crashes, refuse what is not theirs, and are PyTorch's own format."""

import contextlib
import json
import os
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pytest

from deepnp import files, storage
from deepnp.models import mlp
from deepnp.storage import Pieces, TensorFile, chunks, load_metadata, load_tensors, save_json, save_tensors, write_atomically


def test_round_trip(tmp_path, rng):
    tensors = {"a": rng.normal(size=(2, 3)), "b": np.array(5), "c": np.arange(4, dtype=np.uint8)[::2], "empty": np.zeros((0, 3))}
    save_tensors(tmp_path / "new" / "x.safetensors", tensors, {"name": "ü", "list": [1, 2.5, None]})
    loaded, metadata = load_tensors(tmp_path / "new" / "x.safetensors")
    assert metadata == {"name": "ü", "list": [1, 2.5, None]} == load_metadata(tmp_path / "new" / "x.safetensors")
    for name, value in tensors.items():
        np.testing.assert_array_equal(loaded[name], value)
        assert loaded[name].dtype == value.dtype


def test_a_model_is_stored_under_pytorchs_names(tmp_path, rng):
    from safetensors.numpy import load_file

    net = mlp([3, 4, 2], rng=rng)
    save_tensors(tmp_path / "net.safetensors", net.state_dict())
    stored = load_file(tmp_path / "net.safetensors")
    assert {name: x.shape for name, x in stored.items()} == {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}


def foreign(kind, shape, data):
    """A safetensors file with one array, written by hand."""
    header = json.dumps({"a": {"dtype": kind, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


def test_bfloat16_is_read_as_float32(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(foreign("BF16", [2, 2], b"\x80\x3f\x00\x40\x20\xc0\x00\x00"))
    tensors, metadata = load_tensors(tmp_path / "x.safetensors")
    assert (tensors["a"].dtype, metadata) == (np.float32, {})
    np.testing.assert_array_equal(tensors["a"], [[1.0, 2.0], [-2.5, 0.0]])


def test_numbers_that_numpy_does_not_know(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(foreign("F8_E4M3", [2], b"\x00\x01"))
    with pytest.raises(ValueError, match=r"x\.safetensors holds numbers that NumPy does not know"):
        load_tensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated_files_are_refused(tmp_path, rng, keep):
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": rng.normal(size=(20, 20))})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        load_tensors(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="found none at"):
        load_tensors(tmp_path / "nothing")


def test_a_crash_while_writing_leaves_the_old_file_and_no_debris(tmp_path):
    path = tmp_path / "x.json"
    save_json(path, {"old": 1})

    def half(file):
        file.write(b"{")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, half)
    assert path.read_text() == '{\n  "old": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def checkpoint(path, rng):
    tensors = {
        "weights": rng.normal(size=(20, 7)).astype("f"),
        "done": rng.random(13) < 0.5,
        "steps": np.array(7),
        "none": np.zeros((0, 3)),
    }
    save_tensors(path, tensors, {"config": {"lr": 1e-3, "hidden": [64, 64]}, "text": "ü"})
    return tensors


def test_others_read_ours_and_we_read_theirs(tmp_path, rng):
    from safetensors.numpy import load_file, save_file

    tensors = checkpoint(tmp_path / "ours", rng)
    save_file(tensors, tmp_path / "theirs", {"json": "{}"})
    theirs = load_file(tmp_path / "ours")
    ours, _ = load_tensors(tmp_path / "theirs")
    for name, x in tensors.items():
        np.testing.assert_array_equal(theirs[name], x)
        np.testing.assert_array_equal(ours[name], x)


def test_every_changed_bit_is_noticed(tmp_path, rng):
    path = tmp_path / "x"
    checkpoint(path, rng)
    whole = path.read_bytes()
    taken = []
    for place in rng.integers(8 * len(whole), size=400):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            load_tensors(path)
            taken.append(damaged)
    # only the name of the checksums themselves may change: the arrays are as they were
    assert all(b'"checksums"' not in damaged for damaged in taken)
    assert len(taken) < 20


def test_every_byte_of_an_array_counts_in_the_checksum(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "CHUNK", 2)
    path = tmp_path / "x"
    save_tensors(path, {"a": np.arange(5, dtype=np.uint8), "b": np.arange(3, dtype=np.uint8)})
    whole = path.read_bytes()
    for place in range(1, 9):
        damaged = bytearray(whole)
        damaged[-place] ^= 128
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"x is damaged: '{'b' if place <= 3 else 'a'}' has changed since it was written"):
            load_tensors(path)


def test_files_with_one_checksum_are_still_read(tmp_path):
    """As they were written before each array had its own."""
    header = b'{"__metadata__":{"json":"{}","crc32":"00000000"},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}'
    signed = header.replace(b"00000000", b"%08x" % zlib.crc32(b"\1\2\3", zlib.crc32(header)))
    path = tmp_path / "x"
    path.write_bytes(by_hand(signed, b"\1\2\3"))
    np.testing.assert_array_equal(load_tensors(path)[0]["a"], [1, 2, 3])
    for damaged in (by_hand(signed, b"\1\2\2"), by_hand(signed.replace(b'"a"', b'"b"'), b"\1\2\3")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="x is damaged: something in it has changed"):
            load_tensors(path)


def test_arrays_may_be_left_out_even_if_they_have_changed(tmp_path, rng):
    path, marked = tmp_path / "x", np.full(8, 7, np.uint8)
    save_tensors(path, {"a.x": rng.normal(size=3), "memory.x": marked, "memory.y": np.arange(3), "z": rng.normal(size=2)}, {})
    expected, _ = load_tensors(path)
    path.write_bytes(path.read_bytes().replace(marked.tobytes(), b"\0" * 8))
    with pytest.raises(ValueError, match=r"'memory\.x' has changed"):
        TensorFile(path)
    with TensorFile(path, without="memory.") as file:
        assert {name: list(np.asarray(x)) for name, x in file.items()} == {n: list(expected[n]) for n in ("a.x", "z")}
    with pytest.raises(ValueError, match=r"'memory\.x' has changed"):
        TensorFile(path, without="a.")


def test_what_has_changed_in_the_header_is_said(tmp_path, rng):
    path = tmp_path / "x"
    checkpoint(path, rng)
    whole = path.read_bytes()
    for old, new in ((b"0.001", b"0.002"), (b'"done"', b'"dome"')):
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(ValueError, match="x is damaged: its header has changed"):
            load_tensors(path)


class TestPartByPart:
    def test_pieces_are_written_as_one_array(self, tmp_path, rng):
        x = rng.normal(size=(10, 3))
        pieces = Pieces([x[:4], x[4:4], x[4:]])
        save_tensors(tmp_path / "pieces", {"x": pieces, "y": np.ones(2)})
        save_tensors(tmp_path / "whole", {"x": x, "y": np.ones(2)})
        assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()
        np.testing.assert_array_equal(np.asarray(pieces), x)
        assert (len(pieces), pieces.shape, pieces.dtype) == (10, x.shape, x.dtype)

    def test_rows_are_read_when_they_are_asked_for(self, tmp_path, rng):
        tensors = checkpoint(tmp_path / "x", rng)
        with TensorFile(tmp_path / "x") as file:
            assert file.signed
            assert file.metadata == load_metadata(tmp_path / "x")
            assert {name: (x.shape, x.dtype) for name, x in file.items()} == {n: (x.shape, x.dtype) for n, x in tensors.items()}
            for name, x in tensors.items():
                np.testing.assert_array_equal(file[name], x)
                if x.ndim:
                    for rows in (slice(3, 8), slice(0, 0), slice(-2, None), slice(12, 400), slice(5, 2)):
                        np.testing.assert_array_equal(file[name][rows], x[rows])
        with pytest.raises(ValueError, match="closed file"):
            np.asarray(file["weights"])

    def test_a_file_without_checksums_says_so(self, tmp_path):
        (tmp_path / "x").write_bytes(foreign("F32", [1], b"1234"))
        with TensorFile(tmp_path / "x") as file:
            assert not file.signed

    def test_a_file_that_is_shortened_while_it_is_read(self, tmp_path):
        save_tensors(tmp_path / "x", {"x": np.ones(100_000)})
        with TensorFile(tmp_path / "x") as file:
            os.truncate(tmp_path / "x", 1000)
            with pytest.raises(ValueError, match="found the end within 'x'"):
                np.asarray(file["x"])

    def test_chunks_are_all_rows_in_their_order(self, tmp_path, rng, monkeypatch):
        x = rng.normal(size=(11, 3))
        save_tensors(tmp_path / "x", {"x": x})
        monkeypatch.setattr(storage, "CHUNK", 50)
        with TensorFile(tmp_path / "x") as file:
            for given in (x, Pieces([x[:4], x[4:]]), file["x"]):
                parts = list(chunks(given))
                assert {len(part) for part in parts} <= {1, 2}
                np.testing.assert_array_equal(np.concatenate(parts), x)
        assert [part.shape for part in chunks(np.array(5.0))] == [()]


def test_arrays_lie_aligned_whatever_the_header_s_length(tmp_path):
    for length in range(8):
        save_tensors(tmp_path / "x", {"n" * (1 + length): np.ones(2)})
        assert struct.unpack("<Q", (tmp_path / "x").read_bytes()[:8])[0] % 8 == 0


INSERTED = (b"[" * 40, b"9" * 40, b'{"', b"null", b"-1", b"1e999", b"\0" * 40)


def test_any_damage_raises_what_is_documented(tmp_path, rng):
    path = tmp_path / "x"
    checkpoint(path, rng)
    whole = path.read_bytes()
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            place = int(rng.integers(len(damaged)))
            length = int(rng.integers(1, 40))
            match rng.integers(4):
                case 0:
                    damaged[place : place + length] = rng.bytes(length)
                case 1:
                    del damaged[place : place + length]
                case 2:
                    damaged[place:place] = INSERTED[rng.integers(len(INSERTED))]
                case 3:
                    damaged[place : place + length] = b"9" * length
        path.write_bytes(damaged)
        if damaged != whole:
            with pytest.raises(ValueError, match=r"is not a complete safetensors file|does not know|is damaged: .* has changed"):
                load_tensors(path)
            with contextlib.suppress(ValueError):  # whole in its header, for all that this reads
                assert isinstance(load_metadata(path), dict)


def by_hand(header: str | bytes, data: bytes = b"") -> bytes:
    blob = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(blob)) + blob + data


@pytest.mark.parametrize(
    "content",
    [
        by_hand("[" * 100_000),
        by_hand('{"__metadata__": {"json": "' + "[" * 100_000 + '"}}'),
        by_hand('{"a": {"dtype": "F32", "shape": [1000000000, 1000000000], "data_offsets": [0, 4]}}', b"1234"),
        by_hand('{"a": {"dtype": "F32", "shape": [0, 9999999999999999999999], "data_offsets": [0, 0]}}'),
        by_hand('{"a": {"dtype": "F32", "shape": [0, 4000000000000000000], "data_offsets": [0, 0]}}'),
        by_hand('{"a": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}', b"1234"),
        by_hand('{"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}', b"1234"),
        by_hand('{"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}, "a": {}}', b"12"),
        by_hand('{"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}', b"123"),
        by_hand('{"__metadata__": {"json": 3}}'),
        by_hand('{"__metadata__": {"json": "[]"}}'),
        by_hand('{"__metadata__": []}'),
        by_hand("[]"),
        by_hand("9" * 10_000),
        by_hand(b"\xff\xfe"),
        struct.pack("<Q", 2**63) + b"{}",
        by_hand(b" " * (17 * 2**20)),
    ],
)
def test_hostile_headers_are_refused_at_once(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    begin = time.perf_counter()
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        load_tensors(tmp_path / "x")
    assert time.perf_counter() - begin < 2


def test_numbers_that_the_format_does_not_know_are_refused(tmp_path):
    with pytest.raises(ValueError, match="given complex128 in 'a'"):
        save_tensors(tmp_path / "x", {"a": np.zeros(2, complex)})
    save_tensors(tmp_path / "x", {"a": np.arange(3, dtype=">f4")})
    np.testing.assert_array_equal(load_tensors(tmp_path / "x")[0]["a"], [0, 1, 2])


def test_saving_and_loading_make_no_second_copy(tmp_path):
    x = np.ones((2000, 1000))  # 16 MB
    tracemalloc.start()
    save_tensors(tmp_path / "x", {"x": x, "y": x})
    saving = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    loaded = load_tensors(tmp_path / "x")
    loading = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert saving < 1e6
    assert loading < 33e6
    assert loaded[0]["x"].nbytes == 16_000_000


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")
class TestPlaces:
    @pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="tells which files are open")
    def test_windows_renames_closed_files_only(self, tmp_path, monkeypatch):
        replaced = []

        def replace(source, target, rename=os.replace):
            replaced.append(
                os.fspath(source) in {os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")}
            )
            rename(source, target)

        monkeypatch.setattr(os, "replace", replace)
        save_json(tmp_path / "x.json", {})
        monkeypatch.setattr(files, "fcntl", None)
        save_json(tmp_path / "x.json", {"a": 1})
        assert replaced == [True, False]
        assert os.listdir(tmp_path) == ["x.json"]

    def test_modes_are_the_umasks_or_the_old_files(self, tmp_path):
        old = os.umask(0o077)
        try:
            save_json(tmp_path / "private", {})
            os.umask(0o022)
            save_json(tmp_path / "public", {})
        finally:
            os.umask(old)
        assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "public").stat().st_mode & 0o777 == 0o644
        (tmp_path / "public").chmod(0o640)
        save_json(tmp_path / "public", {})
        assert (tmp_path / "public").stat().st_mode & 0o777 == 0o640

    def test_a_link_stays_a_link(self, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "file")
        for content in ({"new": 1}, {"newer": 2}):
            save_json(tmp_path / "link", content)
            assert (tmp_path / "link").is_symlink()
            assert json.loads((tmp_path / "elsewhere" / "file").read_text()) == content

    def test_names_may_be_as_long_as_the_file_system_allows(self, tmp_path):
        save_json(tmp_path / ("n" * 250), {})
        assert [len(p.name) for p in tmp_path.iterdir()] == [250]

    def test_what_a_killed_save_left_is_removed_by_the_next(self, tmp_path):
        code = """if True:
            import os, signal, sys
            from deepnp.storage import write_atomically
            def write(file):
                file.write(b"half"); file.flush(); os.kill(os.getpid(), signal.SIGKILL)
            write_atomically(sys.argv[1], write)
        """
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], check=False)
        assert len(list(tmp_path.iterdir())) == 1
        save_json(tmp_path / "y", {})  # another file's leftovers are not ours
        assert len(list(tmp_path.iterdir())) == 2

        def write(file):
            save_json(tmp_path / "x", {"by": "another"})  # a save at the same time leaves this one's file alone
            file.write(b"mine")

        write_atomically(tmp_path / "x", write)
        assert (tmp_path / "x").read_bytes() == b"mine"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["x", "y"]

    @pytest.mark.parametrize("kind", ["folder", "pipe"])
    def test_only_files_are_replaced(self, tmp_path, kind):
        """As root, a rename onto /dev/null would put a file in its place, for everybody."""
        place = tmp_path / "place"
        (os.mkfifo if kind == "pipe" else os.mkdir)(place)
        before = os.stat(place)
        with pytest.raises(OSError, match=f"expected the name of a file to write, given a .*{kind}") as error:
            save_json(place, {})
        assert error.type is (IsADirectoryError if kind == "folder" else OSError)
        assert os.stat(place).st_mode == before.st_mode
        assert os.listdir(tmp_path) == ["place"]


@pytest.mark.parametrize(
    ("tensors", "message"), [([np.ones(2)], "arrays by name, given list"), ({"a": [1, 2]}, "'a' to be an array")]
)
def test_what_is_no_array_is_refused(tmp_path, tensors, message):
    with pytest.raises(TypeError, match=f"expected {message}"):
        save_tensors(tmp_path / "x", tensors)
    assert not list(tmp_path.iterdir())
