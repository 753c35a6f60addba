"""A policy, or any network of known layers, as an ONNX file.

Needs the package `onnx` (the extra "onnx"); running the file does not.
"""

import os
from typing import Any

import numpy as np

from deepnp.files import write_atomically
from deepnp.module import Module
from rl.agent import Agent
from rl.training.export.describe import checked_path, facts
from rl.training.export.graph import OPSET, Graph, Node, Translations, Value
from rl.training.export.layers import LAYERS
from rl.training.export.policies import graph_of

IR_VERSION = 7  # of the file, as old as the operations
AS_INPUTS = {"Pad": ("pads",), "Reshape": ("shape",), "Slice": ("starts", "ends", "axes")}  # constants, to ONNX


def export_onnx(
    source: Agent | Module,
    path: str | os.PathLike,
    example: Any = None,
    translations: Translations | None = None,
) -> None:
    """Write an agent's policy, or a network, as an ONNX file.

    An agent's file takes rows of observations as its environment gives them, images as bytes and all,
    and gives the most probable actions as the environment takes them: normalisation and bounds are
    inside. Its inputs are named after their places in the observation, "observation" where there is
    one array. Its output is "action", or "action_" where an input is called that. A policy with a
    recurrent memory has inputs "state_h" and, for an LSTM, "state_c" besides, zeros where an episode
    begins, and outputs "next_state_h" and "next_state_c" for the next step. A network's are
    "input" and "output", numbered where there are several. The first axis, that of the batch, is
    free. Operations are those of ONNX 1.8 (opset 13).

    Parameters
    ----------
    source : Agent or deepnp.Module
    path
        Of the file, which ends in .onnx; its folder is made if need be.
    example : array, or a tuple of arrays
        Of a network: what it may be given, for the shapes and the types of its inputs.
    translations : mapping, class -> function, optional
        For layers of one's own; see layers.py.

    Raises
    ------
    ValueError
        If the path does not end in .onnx, a layer has no translation, or the agent does not act as
        its policy network says.
    TypeError
        If the agent has no policy network, or the example is missing.
    ModuleNotFoundError
        Without the package onnx.
    """
    path = checked_path(path, ".onnx")
    if isinstance(source, Module):
        graph, notes = graph_of_module(source, example, translations), {}
    else:
        if example is not None:
            raise TypeError("expected an example with a network alone: an agent knows its observations")
        graph, notes = graph_of(source, translations), facts(source)
    model = model_of(graph, notes).SerializeToString()
    write_atomically(path, lambda file: file.write(model))


def graph_of_module(module: Module, example: Any, translations: Translations | None) -> Graph:
    """A network as a graph; ValueError if the graph does not give what the network does."""
    examples = example if isinstance(example, tuple) else (example,)
    if not all(isinstance(x, np.ndarray) and x.ndim > 0 for x in examples):
        raise TypeError(f"expected an example of the network's input, an array or a tuple of them, given {example!r:.80}")
    graph = Graph({**LAYERS, **(translations or {})})
    inputs = [graph.input(name, x) for name, x in zip(numbered("input", len(examples)), examples, strict=True)]
    y, expected = (
        graph.translate("network", module, tuple(inputs) if isinstance(example, tuple) else inputs[0]),
        module.predict(example),
    )
    several = isinstance(y, tuple)
    graph.outputs = dict(zip(numbered("output", len(y) if several else 1), y if several else (y,), strict=True))
    for (name, given), wanted in zip(graph.outputs.items(), expected if several else (expected,), strict=True):
        if given.shape != wanted.shape or not np.allclose(given.example, wanted, rtol=1e-4, atol=1e-4):
            raise ValueError(f"expected translations that give what {module!r:.80} does, given another {name}")
    return graph


def numbered(name: str, count: int) -> list[str]:
    """The name itself, or the name with a number for each of several."""
    return [name] if count == 1 else [f"{name}{i}" for i in range(count)]


def model_of(graph: Graph, notes: dict[str, str]) -> Any:
    """The graph as an `onnx.ModelProto`, checked; `notes` go into its metadata."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('ONNX files need the package onnx: pip install "deepnp-rl[onnx]"') from error
    import deepnp

    made = Maker(onnx, graph)
    inputs, outputs = [made.place(x.name, x) for x in graph.inputs], [made.place(*item) for item in graph.outputs.items()]
    whole = onnx.helper.make_graph(made.nodes, "policy" if notes else "network", inputs, outputs, made.initializers)
    model = onnx.helper.make_model(
        whole,
        producer_name="deepnp",
        producer_version=deepnp.__version__,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.helper.set_model_props(model, notes)
    onnx.checker.check_model(model, full_check=True)
    return model


class Maker:
    """Makes ONNX's nodes and constants of a graph.

    Attributes
    ----------
    nodes, initializers : list
        Of a GraphProto.
    """

    def __init__(self, onnx: Any, graph: Graph):
        self.onnx = onnx
        self.nodes: list = []
        self.initializers = [onnx.numpy_helper.from_array(x, name) for name, x in graph.constants.items()]
        for node in graph.nodes:
            self.node(node)
        for name, value in graph.outputs.items():
            self.nodes.append(onnx.helper.make_node("Identity", [value.name], [name]))

    def node(self, node: Node) -> None:
        """Add an operation, and the constants that it brings."""
        kind = next(x.dtype for x in node.inputs if isinstance(x, Value))
        inputs = [x.name if isinstance(x, Value) else self.constant(np.array(x, kind)) for x in node.inputs]
        settings = dict(node.settings)
        inputs += [self.constant(np.array(settings.pop(name), np.int64)) for name in AS_INPUTS.get(node.op, ())]
        if node.op == "Cast":
            settings["to"] = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(settings["to"]))
        self.nodes.append(self.onnx.helper.make_node(node.op, inputs, [node.output.name], node.output.name, **settings))

    def constant(self, x: np.ndarray) -> str:
        """The name of a new constant."""
        name = f"constant.{len(self.initializers)}"
        self.initializers.append(self.onnx.numpy_helper.from_array(x, name))
        return name

    def place(self, name: str, value: Value) -> Any:
        """An input or an output of the whole graph: its name, type and shape, the batch free."""
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        return self.onnx.helper.make_tensor_value_info(name, kind, ["batch", *value.shape[1:]])
