"""A critic's greedy action as operations of a graph: each step of gradient ascent, written out.

    z_1 = W_s s + W_a a + b_1     h_l = f(z_l)     z_{l+1} = W_{l+1} h_l + b_{l+1}     Q = w·h_L + b
    dz_L = w·f′(z_L)              dz_l = (dz_{l+1} W_{l+1})·f′(z_l)                     ∂Q/∂a = dz_1 W_a

What s adds to z_1 is the same in every step.
"""

import math
from collections.abc import Callable
from types import ModuleType

import numpy as np

from deepnp import Linear, Module, Sequential
from deepnp.layers.activation import Activation
from deepnp.ops.activation import relu, sine, tanh
from rl.networks.ascent import AscentPolicy
from rl.training.export.graph import Graph, Value
from rl.training.export.layers import elementwise


def slope_of_sine(graph: Graph, z: Value, h: Value, omega: float) -> Value:
    """ω cos ωz."""
    return graph.add("Mul", graph.add("Sin", graph.add("Add", graph.add("Mul", z, float(omega)), math.pi / 2)), float(omega))


SLOPES: dict[ModuleType, Callable[..., Value]] = {  # f′(z), of z and h = f(z)
    relu: lambda graph, z, h: graph.add("Cast", graph.add("Greater", z, 0.0), to=z.dtype.name),
    tanh: lambda graph, z, h: graph.add("Add", graph.add("Mul", graph.add("Mul", h, h), -1.0), 1.0),
    sine: slope_of_sine,
}


def ascended(graph: Graph, module: AscentPolicy, x: Value) -> Value:
    """Observations (B, O) -> actions (B, A)."""
    linear, between = layers_of(module.critic)
    with graph.within("critic"):
        weights = [graph.constant(f"weight{i}", layer.weight.data) for i, layer in enumerate(linear)]
        biases = [graph.constant(f"bias{i}", layer.bias.data) for i, layer in enumerate(linear)]
        of_state, of_action = (
            graph.constant(name, part) for name, part in zip("sa", np.split(weights[0].example, [x.shape[1]], axis=1), strict=True)
        )
    given, across = graph.add("Gemm", x, of_state, biases[0], transB=1), graph.add("Transpose", of_action, perm=[1, 0])
    action = graph.add("MatMul", x, graph.constant("nothing", np.zeros((x.shape[1], module.actions), x.dtype)))
    for _ in range(module.steps):
        z, slopes = graph.add("Add", given, graph.add("MatMul", action, across)), []
        for layer, weight, bias in zip(between, weights[1:], biases[1:], strict=True):
            h = elementwise(graph, layer, z)
            slopes.append(SLOPES[layer.op](graph, z, h, *layer.settings))
            z = graph.add("Gemm", h, weight, bias, transB=1)  # at last Q itself, which is not asked for
        dz = graph.add("Mul", slopes[-1], weights[-1])
        for weight, slope in zip(weights[-2:0:-1], slopes[-2::-1], strict=True):
            dz = graph.add("Mul", graph.add("MatMul", dz, weight), slope)
        step = graph.add("Mul", graph.add("MatMul", dz, of_action), module.rate)
        action = graph.add("Clip", graph.add("Add", action, step), -1.0, 1.0)
    return action


def layers_of(critic: Module) -> tuple[list[Linear], list[Activation]]:
    """The critic's linear layers, and the activations between them.

    Raises
    ------
    ValueError
        For other layers than linear ones with biases, and tanh, ReLU or sine between them.
    """
    layers = [layer for _, layer in critic.children()] if type(critic) is Sequential else [critic]
    linear = [layer for layer in layers[0::2] if type(layer) is Linear and layer.bias is not None]
    between = [layer for layer in layers[1::2] if isinstance(layer, Activation) and layer.op in SLOPES]
    if len(linear) + len(between) < len(layers) or len(linear) != len(between) + 1 or not between:
        wanted = "linear layers with biases, and tanh, ReLU or sine between them"
        raise ValueError(f"expected a critic of {wanted}, to write its gradient ascent out, given {critic!r}")
    return linear, between
