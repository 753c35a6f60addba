"""Files survive crashes, refuse what is not theirs, and are PyTorch's own format."""

import json
import struct

import numpy as np
import pytest

from deepnp.models import mlp
from deepnp.storage import load_tensors, save_json, save_tensors, write_atomically


def test_round_trip(tmp_path, rng):
    tensors = {"a": rng.normal(size=(2, 3)), "b": np.array(5), "c": np.arange(4, dtype=np.uint8)[::2], "empty": np.zeros((0, 3))}
    save_tensors(tmp_path / "new" / "x.safetensors", tensors, {"name": "ü", "list": [1, 2.5, None]})
    loaded, metadata = load_tensors(tmp_path / "new" / "x.safetensors")
    assert metadata == {"name": "ü", "list": [1, 2.5, None]}
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
