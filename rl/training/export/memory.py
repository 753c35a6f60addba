"""A policy with memory in a graph: one step of it, from an observation and a state to an action and the next state.

inputs    besides the observation, state_h (B, H), for an LSTM state_c (B, H), too: zeros where an episode begins
outputs   besides the action, next_state_h and next_state_c: the inputs of the next step

The operations are those of deepnp/ops/recurrent.
"""

from typing import Any

import numpy as np

from deepnp import GRU, LSTM, RNN
from deepnp.layers.recurrent import RNNBase
from deepnp.ops.activation import tanh
from rl.networks.memory import Remembering
from rl.networks.recurrent import RecurrentMemory
from rl.training.export.graph import Graph, Value

NAMES = ("h", "c")


def states_like(policy: Remembering, rows: int) -> dict[str, np.ndarray]:
    """States (rows, H) such as it may have, by the names of the graph's inputs.

    Raises
    ------
    ValueError
        For a memory other than a recurrent one.
    """
    if not isinstance(policy.memory, RecurrentMemory):
        raise ValueError(f"expected a policy without memory or with a recurrent one, given {type(policy.memory).__name__}")
    rng = np.random.default_rng(2)
    parts = (rng.uniform(-1, 1, part.shape).astype(part.dtype) for part in policy.zeros(rows))
    return {f"state_{name}": part for name, part in zip(NAMES, parts, strict=False)}


def remembered(graph: Graph, policy: Remembering, x: Any, states: list[Value]) -> tuple[Value, dict[str, Value]]:
    """What the policy gives for an observation x after states, and the next states, by the names of the graph's outputs."""
    with graph.within("policy.memory"):
        encoded = graph.translate("encoder", policy.memory.encoder, x)
        with graph.within("layer"):
            after = step(graph, policy.memory.layer, encoded, *states)
    with graph.within("policy"):
        y = graph.translate("head", policy.head, (after[0], x[-1]) if policy.masked else after[0])
    return y, {f"next_state_{name}": value for name, value in zip(NAMES, after, strict=False)}


def step(graph: Graph, layer: RNNBase, x: Value, h: Value, c: Value | None = None) -> tuple[Value, ...]:
    """The states after one step of a recurrent layer."""
    a, m = gates(graph, layer, x, "ih"), gates(graph, layer, h, "hh")
    if isinstance(layer, GRU):
        r, u = (graph.add("Sigmoid", graph.add("Add", a[i], m[i])) for i in (0, 1))
        n = graph.add("Tanh", graph.add("Add", a[2], graph.add("Mul", r, m[2])))
        return (graph.add("Add", n, graph.add("Mul", u, graph.add("Sub", h, n))),)
    z = [graph.add("Add", *pair) for pair in zip(a, m, strict=True)]
    if isinstance(layer, LSTM):
        i, f, o = (graph.add("Sigmoid", z[k]) for k in (0, 1, 3))
        kept, taken = graph.add("Mul", f, c), graph.add("Mul", i, graph.add("Tanh", z[2]))
        c = graph.add("Add", kept, taken)
        return graph.add("Mul", o, graph.add("Tanh", c)), c
    assert isinstance(layer, RNN)
    assert layer.activation is tanh
    return (graph.add("Tanh", z[0]),)


def gates(graph: Graph, layer: RNNBase, x: Value, side: str) -> list[Value]:
    """The products of one side, of each gate (B, H)."""
    named, size = dict(layer.named_parameters()), layer.hidden_size
    weight, bias = (graph.constant(f"{kind}_{side}_l0", named[f"{kind}_{side}_l0"].data) for kind in ("weight", "bias"))
    y = graph.add("Gemm", x, weight, bias, transB=1)
    return [graph.add("Slice", y, starts=[k * size], ends=[(k + 1) * size], axes=[1]) for k in range(layer.op.GATES)]
