"""Agents elsewhere: as a Python file for NumPy, as ONNX, and as weights for PyTorch."""

import os
from collections.abc import Callable
from pathlib import Path

from rl.agent import Agent
from rl.training.export.numpy_file import export_numpy as export_numpy
from rl.training.export.onnx_file import export_onnx as export_onnx
from rl.training.export.torch_file import export_torch as export_torch
from rl.training.export.torch_file import import_torch as import_torch

WRITERS: dict[str, tuple[Callable[..., None], str]] = {
    "numpy": (export_numpy, ".py"),
    "onnx": (export_onnx, ".onnx"),
    "torch": (export_torch, ".safetensors"),
}


def export(agent: Agent, path: str | os.PathLike, to: str | None = None) -> None:
    """Write the agent's policy to a file that others can run.

    Parameters
    ----------
    agent : Agent
    path
        Of the file; its folder is made if need be.
    to : {"numpy", "onnx", "torch"}, optional
        What kind of file; by the path's end by default: .py, .onnx or .safetensors.

    Raises
    ------
    ValueError, TypeError
        As `export_numpy`, `export_onnx` and `export_torch`; and for another kind of file.
    """
    kinds = {suffix: kind for kind, (_, suffix) in WRITERS.items()}
    kind = kinds.get(Path(path).suffix) if to is None else to
    if kind not in WRITERS:
        given = (
            f"a path that ends in {sorted(kinds)}, given {path}" if to is None else f"to as one of {sorted(WRITERS)}, given {to!r}"
        )
        raise ValueError(f"expected {given}")
    WRITERS[kind][0](agent, path)
