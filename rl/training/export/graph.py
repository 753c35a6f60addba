"""A network as a list of operations: what every export is written from.

The operations and their settings are those of ONNX, version 13 (ai.onnx, 2021), which old and small
runtimes know too. `expressions.py` says what each is in NumPy; `onnx_file.py` writes them as they are.

A graph is built with an example at hand: each operation is done at once, so that its result's shape
and type are known, and the end can be compared with what the network itself says.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepnp.module import Module
from rl.training.export.expressions import evaluate

OPSET = 13
Translation = Callable[["Graph", Any, Any], Any]  # (graph, module, x) -> y; x and y are Values, or tuples of them
Translations = Mapping[type, Translation]


@dataclass(frozen=True)
class Value:
    """An array in a graph.

    Attributes
    ----------
    name : str
    example : array
        What it is for the example.
    """

    name: str
    example: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the example; the first axis is that of the batch."""
        return self.example.shape

    @property
    def dtype(self) -> np.dtype:
        return self.example.dtype


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes
    ----------
    op : str
        ONNX's name of it.
    inputs : tuple of Value, float or int
        Numbers stand for constants of the first Value's type.
    settings : dict
    output : Value
    scope : str
        Which part of the network it belongs to.
    """

    op: str
    inputs: tuple[Any, ...]
    settings: dict[str, Any]
    output: Value
    scope: str


@dataclass
class Graph:
    """Inputs, constants, operations in the order in which they are done, and which results are given out.

    `translations` has a function for each class of modules; see layers.py.
    """

    translations: Translations
    inputs: list[Value] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    outputs: dict[str, Value] = field(default_factory=dict)
    scope: str = ""

    def input(self, name: str, example: np.ndarray) -> Value:
        """Something that the graph is given."""
        self.inputs.append(Value(name, example))
        return self.inputs[-1]

    def constant(self, name: str, array: np.ndarray) -> Value:
        """Something that it knows, such as a weight: a copy, under its name in the present scope."""
        name = re.sub(r"[^\w.]", "_", f"{self.scope}.{name}".lstrip("."))
        while name in self.constants and not np.array_equal(self.constants[name], array):
            name += "_"
        self.constants[name] = np.array(array)
        return Value(name, self.constants[name])

    def add(self, op: str, *inputs: Any, **settings: Any) -> Value:
        """The result of an operation on Values and numbers."""
        example = evaluate(op, [x.example if isinstance(x, Value) else x for x in inputs], settings)
        output = Value(f"{self.scope}.{op}{len(self.nodes)}".lstrip("."), example)
        self.nodes.append(Node(op, inputs, settings, output, self.scope))
        return output

    def translate(self, name: str, module: Module, x: Any) -> Any:
        """y of x through a module, in a scope of its name; ValueError for a class without a translation."""
        kind = type(module)
        if kind not in self.translations:
            path = f"{self.scope}.{name}".lstrip(".")
            teach = f"translations={{{kind.__name__}: a function}} teaches one, see docs/export.md"
            hint = f"export_torch (--to torch) writes an agent's weights; in Python, {teach}"
            raise ValueError(f"expected layers that have a translation, given {path}, a {kind.__name__}: {hint}")
        with self.within(name):
            return self.translations[kind](self, module, x)

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """A scope inside the present one."""
        outer = self.scope
        self.scope = f"{outer}.{name}".strip(".")
        try:
            yield
        finally:
            self.scope = outer
