"""Values of choices, and normalised advantages, as operations of a graph."""

from typing import Any

import numpy as np

from rl.networks.dueling import Dueling
from rl.networks.naf import NAFNetwork
from rl.networks.q_networks import QNetwork, QuantileMean, SupportMean
from rl.training.export.graph import Graph, Value

LOW = 1e38  # what a value is lowered by where its choice is excluded


def lowered(graph: Graph, y: Value, mask: Value) -> Value:
    """Values (B, C), those that a mask (B, C) excludes below all others."""
    return graph.add("Add", y, graph.add("Mul", graph.add("Sub", mask, 1.0), LOW))


def q_network(graph: Graph, module: QNetwork, x: Any) -> Value:
    """Q(s, ·)."""
    q = graph.translate("body", module.body, x)
    if isinstance(module.mean, QuantileMean):
        choices = q.shape[1] // module.mean.quantiles
        of_quantile = np.kron(np.eye(choices), np.full((module.mean.quantiles, 1), 1 / module.mean.quantiles))
        q = graph.add("MatMul", q, graph.constant("shares", of_quantile.astype(np.float32)))
    elif isinstance(module.mean, SupportMean):
        support = module.mean.support.astype(np.float32)
        shares = graph.add("Softmax", graph.add("Reshape", q, shape=[-1, len(support)]), axis=1)
        means = graph.add("MatMul", shares, graph.constant("support", support[:, None]))
        q = graph.add("Reshape", means, shape=[-1, q.shape[1] // len(support)])
    return lowered(graph, q, x[-1]) if module.masked else q


def dueling(graph: Graph, module: Dueling, x: Any) -> Value:
    """V + A − mean A, where each choice may have several numbers."""
    h = graph.translate("trunk", module.trunk, x)
    v, a = graph.translate("value", module.value, h), graph.translate("advantage", module.advantage, h)
    numbers, choices = np.eye(v.shape[1]), module.choices
    each = graph.constant("each", np.tile(numbers, choices).astype(np.float32))
    less_mean = graph.constant("less_mean", np.kron(np.eye(choices) - 1 / choices, numbers).astype(np.float32))
    return graph.add("Add", graph.add("MatMul", v, each), graph.add("MatMul", a, less_mean))


def naf(graph: Graph, module: NAFNetwork, x: Any) -> Value:
    """μ(s)."""
    y = graph.add("Slice", graph.translate("body", module.body, x), starts=[1], ends=[1 + module.actions], axes=[1])
    return graph.add("Tanh", y)
