"""Layers as operations of a graph, one function each.

`Graph.translate` finds a module's function by its class: in `LAYERS`, or among those that the caller
gives for classes of its own.

    def tripled(graph, module, x):
        return graph.add("Mul", x, 3.0)

    export_onnx(network, "network.onnx", example=x, translations={Tripled: tripled})

A class without one is refused by name: there is no telling what it computes.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import deepnp
from deepnp.layers.activation import Activation, AlongAxis
from deepnp.layers.batch_normalization import BatchNorm
from deepnp.module import Module
from deepnp.ops.activation import (
    elu,
    gelu,
    gelu_tanh,
    glu,
    hard_tanh,
    leaky_relu,
    log_softmax,
    mish,
    relu,
    selu,
    sigmoid,
    silu,
    sine,
    softmax,
    softplus,
    tanh,
)
from rl.training.export.graph import Graph, Translation, Value
from rl.training.export.images import adaptive_average_pool, adaptive_max_pool, average_pool, conv, max_pool, padding


def sequential(graph: Graph, module: deepnp.Sequential, x: Any) -> Any:
    for name, child in module.children():
        x = graph.translate(name, child, x)
    return x


def heads(graph: Graph, module: deepnp.Heads, x: Any) -> tuple:
    return tuple(graph.translate(name, head, x) for name, head in module.children())


def residual(graph: Graph, module: deepnp.Residual, x: Value) -> Value:
    return graph.add("Add", graph.translate("body", module.body, x), graph.translate("skip", module.skip, x))


def same(graph: Graph, module: Module, x: Value) -> Value:
    """What does nothing at inference."""
    return x


def join(graph: Graph, module: deepnp.Join, x: tuple[Value, ...]) -> Value:
    if module.axis is not None:
        return graph.add("Concat", *x, axis=module.axis)
    total = x[0]
    for one in x[1:]:
        total = graph.add("Add", total, one)
    return total


def linear(graph: Graph, module: deepnp.Linear, x: Value) -> Value:
    weight = graph.constant("weight", module.weight.data)
    bias = None if module.bias is None else graph.constant("bias", module.bias.data)
    if bias is not None and len(x.shape) == 2:
        return graph.add("Gemm", x, weight, bias, transB=1)
    y = graph.add("MatMul", x, graph.add("Transpose", weight, perm=[1, 0]))
    return y if bias is None else graph.add("Add", y, bias)


def flatten(graph: Graph, module: deepnp.Flatten, x: Value) -> Value:
    if module.start_dim == 0:
        return graph.add("Reshape", x, shape=[-1])
    inner = x.shape[1 : module.start_dim]
    return graph.add("Reshape", x, shape=[-1, *inner, math.prod(x.shape[module.start_dim :])])


def reshape(graph: Graph, module: deepnp.Reshape, x: Value) -> Value:
    return graph.add("Reshape", x, shape=[-1, *module.shape])


def gelu_by_erf(graph: Graph, x: Value) -> Value:
    """½x(1 + erf(x/√2))."""
    half = graph.add("Mul", x, 0.5)
    return graph.add("Mul", half, graph.add("Add", graph.add("Erf", graph.add("Div", x, math.sqrt(2))), 1.0))


def gelu_by_tanh(graph: Graph, x: Value) -> Value:
    """x·σ(2√(2/π)(x + 0.044715x³))."""
    square = graph.add("Add", graph.add("Mul", graph.add("Mul", x, x), gelu_tanh.CUBIC), 1.0)
    inner = graph.add("Mul", graph.add("Mul", x, 2 * gelu_tanh.ROOT), square)
    return graph.add("Mul", x, graph.add("Sigmoid", inner))


def softplus_of(graph: Graph, x: Value, beta: float = 1.0, scale: float = 1.0) -> Value:
    """(scale/β)·ln(1 + e^{βx})."""
    y = graph.add("Softplus", x if beta == 1 else graph.add("Mul", x, float(beta)))
    return y if beta == scale == 1 else graph.add("Mul", y, scale / beta)


def scaled_elu(graph: Graph, x: Value, alpha: float = 1.0) -> Value:
    return graph.add("Elu", x, alpha=float(alpha))


ELEMENTWISE: dict[Any, Callable[..., Value]] = {  # by operation: (graph, x, *settings)
    tanh: lambda graph, x: graph.add("Tanh", x),
    relu: lambda graph, x: graph.add("Relu", x),
    sigmoid: lambda graph, x: graph.add("Sigmoid", x),
    leaky_relu: lambda graph, x, slope: graph.add("LeakyRelu", x, alpha=float(slope)),
    elu: scaled_elu,
    selu: lambda graph, x: graph.add("Mul", scaled_elu(graph, x, selu.ALPHA), selu.SCALE),
    gelu: gelu_by_erf,
    gelu_tanh: gelu_by_tanh,
    silu: lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    mish: lambda graph, x: graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x))),
    softplus: softplus_of,
    hard_tanh: lambda graph, x, low, high: graph.add("Clip", x, float(low), float(high)),
    sine: lambda graph, x, omega: graph.add("Sin", graph.add("Mul", x, float(omega))),
}


def elementwise(graph: Graph, module: Activation, x: Value) -> Value:
    return ELEMENTWISE[module.op](graph, x, *module.settings)


def along_axis(graph: Graph, module: AlongAxis, x: Value) -> Value:
    axis = module.dim % len(x.shape)
    if module.op is softmax:
        (temperature,) = module.settings
        return graph.add("Softmax", x if temperature == 1 else graph.add("Div", x, float(temperature)), axis=axis)
    if module.op is log_softmax:
        return graph.add("LogSoftmax", x, axis=axis)
    assert module.op is glu
    width = x.shape[axis]
    a, b = (graph.add("Slice", x, starts=[s], ends=[s + width // 2], axes=[axis]) for s in (0, width // 2))
    return graph.add("Mul", a, graph.add("Sigmoid", b))


def learned_slopes(graph: Graph, module: deepnp.PReLU, x: Value) -> Value:
    slopes = module.weight.data
    return graph.add("PRelu", x, graph.constant("weight", slopes if slopes.size == 1 else across(slopes, x)))


def learned_shapes(graph: Graph, module: deepnp.SoftPlusPlus, x: Value) -> Value:
    k, c = (p if p.size == 1 else across(p, x) for p in (module.k.data, module.c.data))
    bent = graph.add("Softplus", graph.add("Mul", x, graph.constant("k", k)))
    tilted = graph.add("Div", x, graph.constant("c", c))
    return graph.add("Sub", graph.add("Add", bent, tilted), math.log(2))


def mean_slope(graph: Graph, module: deepnp.RReLU, x: Value) -> Value:
    return graph.add("LeakyRelu", x, alpha=(module.lower + module.upper) / 2)


def across(channels: np.ndarray, x: Value) -> np.ndarray:
    """One number for each channel, in a shape that meets axis 1 of x (B, C, …)."""
    return channels.reshape(-1, *[1] * (len(x.shape) - 2))


def affine(graph: Graph, module: Any, x: Value, shape: Callable[[np.ndarray], np.ndarray]) -> Value:
    """γ·x + β, of what the layer has of them."""
    if module.weight is not None:
        x = graph.add("Mul", x, graph.constant("weight", shape(module.weight.data)))
    if module.bias is not None:
        x = graph.add("Add", x, graph.constant("bias", shape(module.bias.data)))
    return x


def normalized(graph: Graph, x: Value, axes: list[int], eps: float) -> Value:
    """(x − μ)/√(var + ε), over some axes."""
    centred = graph.add("Sub", x, graph.add("ReduceMean", x, axes=axes, keepdims=1))
    return divided_by_root_mean_square(graph, centred, axes, eps)


def divided_by_root_mean_square(graph: Graph, x: Value, axes: list[int], eps: float) -> Value:
    variance = graph.add("ReduceMean", graph.add("Mul", x, x), axes=axes, keepdims=1)
    return graph.add("Div", x, graph.add("Sqrt", graph.add("Add", variance, float(eps))))


def layer_norm(graph: Graph, module: deepnp.LayerNorm, x: Value) -> Value:
    axes = list(range(-len(module.normalized_shape), 0))
    return affine(graph, module, normalized(graph, x, axes, module.eps), lambda p: p)


def rms_norm(graph: Graph, module: deepnp.RMSNorm, x: Value) -> Value:
    axes = list(range(-len(module.normalized_shape), 0))
    eps = float(np.finfo(x.dtype).eps) if module.eps is None else module.eps
    y = divided_by_root_mean_square(graph, x, axes, eps)
    return y if module.weight is None else graph.add("Mul", y, graph.constant("weight", module.weight.data))


def l2_norm(graph: Graph, module: deepnp.L2Norm, x: Value) -> Value:
    y = divided_by_root_mean_square(graph, x, [-1], module.eps / module.features)
    return graph.add("Mul", y, 1 / math.sqrt(module.features))


def group_norm(graph: Graph, module: deepnp.GroupNorm, x: Value) -> Value:
    groups = graph.add("Reshape", x, shape=[-1, module.num_groups, math.prod(x.shape[1:]) // module.num_groups])
    y = graph.add("Reshape", normalized(graph, groups, [2], module.eps), shape=[-1, *x.shape[1:]])
    return affine(graph, module, y, lambda p: across(p, x))


def batch_norm(graph: Graph, module: BatchNorm | deepnp.BatchRenorm1d, x: Value) -> Value:
    mean, sigma = module.running_mean.data, np.sqrt(module.running_var.data + module.running_var.data.dtype.type(module.eps))
    centred = graph.add("Sub", x, graph.constant("running_mean", across(mean, x)))
    y = graph.add("Div", centred, graph.constant("running_sigma", across(sigma, x)))
    return affine(graph, module, y, lambda p: across(p, x))


LAYERS: dict[type, Translation] = {
    deepnp.Sequential: sequential,
    deepnp.Heads: heads,
    deepnp.Residual: residual,
    deepnp.Linear: linear,
    deepnp.Flatten: flatten,
    deepnp.Reshape: reshape,
    deepnp.Join: join,
    **dict.fromkeys((deepnp.Identity, deepnp.Dropout, deepnp.Dropout1d, deepnp.Dropout2d), same),
    **dict.fromkeys((deepnp.Tanh, deepnp.ReLU, deepnp.LeakyReLU, deepnp.ELU, deepnp.SELU, deepnp.Sigmoid), elementwise),
    **dict.fromkeys((deepnp.GELU, deepnp.SiLU, deepnp.Mish, deepnp.Softplus, deepnp.Hardtanh, deepnp.Sine), elementwise),
    **dict.fromkeys((deepnp.Softmax, deepnp.LogSoftmax, deepnp.GLU), along_axis),
    deepnp.PReLU: learned_slopes,
    deepnp.SoftPlusPlus: learned_shapes,
    deepnp.RReLU: mean_slope,
    deepnp.LayerNorm: layer_norm,
    deepnp.RMSNorm: rms_norm,
    deepnp.L2Norm: l2_norm,
    **dict.fromkeys((deepnp.GroupNorm, deepnp.InstanceNorm1d, deepnp.InstanceNorm2d), group_norm),
    **dict.fromkeys((deepnp.BatchNorm1d, deepnp.BatchNorm2d, deepnp.BatchRenorm1d), batch_norm),
    **dict.fromkeys((deepnp.Conv1d, deepnp.Conv2d), conv),
    **dict.fromkeys((deepnp.MaxPool1d, deepnp.MaxPool2d), max_pool),
    **dict.fromkeys((deepnp.AvgPool1d, deepnp.AvgPool2d), average_pool),
    **dict.fromkeys((deepnp.AdaptiveAvgPool1d, deepnp.AdaptiveAvgPool2d), adaptive_average_pool),
    **dict.fromkeys((deepnp.AdaptiveMaxPool1d, deepnp.AdaptiveMaxPool2d), adaptive_max_pool),
    **dict.fromkeys((deepnp.ZeroPad1d, deepnp.ZeroPad2d, deepnp.ReflectionPad1d, deepnp.ReflectionPad2d), padding),
    **dict.fromkeys((deepnp.ReplicationPad1d, deepnp.ReplicationPad2d), padding),
}
