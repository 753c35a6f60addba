"""Files: arrays as safetensors, settings as JSON, written whole or not at all. Nothing is pickled.

A file is written beside its place under a temporary name, flushed to disk and renamed: a crash leaves the old file.
PyTorch reads and writes the same files with `safetensors.torch`.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize, safe_open
from safetensors.numpy import save

from deepnp.backend import to_device


def save_tensors(path: str | os.PathLike, tensors: dict, metadata: dict | None = None) -> None:
    """Write arrays and JSON-able metadata to one safetensors file, atomically.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    tensors : dict of str to array
        NumPy or CuPy.
    metadata : dict
        Stored as JSON under the single key "json".
    """
    arrays = {name: np.ascontiguousarray(to_device(x, "cpu")).reshape(x.shape) for name, x in tensors.items()}
    blob = save(arrays, {"json": json.dumps(metadata or {})})
    write_atomically(path, lambda file: file.write(blob))


def load_tensors(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and metadata of a safetensors file; bfloat16, which NumPy lacks, comes as float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is truncated, or no safetensors file at all, or holds numbers that NumPy does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a safetensors file, found none at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  (not a dict)
            tensors = {name: file.get_tensor(name) for name, kind in kinds.items() if kind != "BF16"}
            metadata = json.loads((file.metadata() or {}).get("json", "{}"))
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from error
    except (TypeError, AttributeError) as error:  # which of the two depends on the type
        raise ValueError(f"{path} holds numbers that NumPy does not know: {error}") from error
    if "BF16" in kinds.values():
        parts = dict(deserialize(path.read_bytes()))
        tensors |= {name: _widened(**parts[name]) for name, kind in kinds.items() if kind == "BF16"}
    return tensors, metadata


def _widened(data: bytes, shape: list[int], dtype: str) -> np.ndarray:
    """bfloat16, the upper half of a float32, as that float32."""
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)


def save_json(path: str | os.PathLike, content: dict) -> None:
    """Write `content` as indented JSON, atomically."""
    write_atomically(path, lambda file: file.write((json.dumps(content, indent=2) + "\n").encode()))


def write_atomically(path: str | os.PathLike, write: Callable) -> None:
    """Call `write(file)` on a temporary binary file in the same folder, then rename it to `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
