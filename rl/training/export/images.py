"""Convolution, pooling and padding as operations of a graph; see layers.py."""

from typing import Any

import numpy as np

import deepnp
from deepnp.layers.convolution import Conv
from deepnp.layers.padding import Pad
from deepnp.layers.pooling import AdaptivePool, AvgPool, MaxPool
from rl.training.export.graph import Graph, Value

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge"}  # of padding, in ONNX and in NumPy


def conv(graph: Graph, module: Conv, x: Value) -> Value:
    window, pairs = module.window, module.pairs
    if module.padding_mode != "zeros":
        x, pairs = padded(graph, module, x, pairs, module.padding_mode), [(0, 0)] * len(pairs)
    weight = module.weight.data
    bias = np.zeros(len(weight), weight.dtype) if module.bias is None else module.bias.data
    settings: dict[str, Any] = dict(strides=list(window.stride), pads=ends(pairs), dilations=list(window.dilation))
    constants = graph.constant("weight", weight), graph.constant("bias", bias)
    return graph.add("Conv", x, *constants, **settings, group=module.groups)


def padding(graph: Graph, module: Pad, x: Value) -> Value:
    mode = {deepnp.ZeroPad1d: "zeros", deepnp.ZeroPad2d: "zeros"}.get(type(module))
    if mode is None:
        mode = "reflect" if isinstance(module, deepnp.ReflectionPad1d | deepnp.ReflectionPad2d) else "replicate"
    return padded(graph, module, x, module.settings[0], mode)


def padded(graph: Graph, module: Any, x: Value, pairs: list, mode: str) -> Value:
    if mode not in MODES:
        raise ValueError(f"expected padding of {sorted(MODES)}, which ONNX has, given {mode!r} in {module!r}")
    return graph.add("Pad", x, pads=ends([(0, 0), (0, 0), *pairs]), mode=MODES[mode])


def ends(pairs: list) -> list[int]:
    """[(before, after), …] as ONNX wants them: all before, then all after."""
    return [int(a) for a, _ in pairs] + [int(b) for _, b in pairs]


def max_pool(graph: Graph, module: MaxPool, x: Value) -> Value:
    (window,) = module.settings
    settings = dict(kernel_shape=list(window.kernel), strides=list(window.stride), dilations=list(window.dilation))
    return graph.add("MaxPool", x, **settings, pads=ends(reached(window, x)))


def average_pool(graph: Graph, module: AvgPool, x: Value) -> Value:
    window, counted = module.settings
    pairs = reached(window, x)
    if counted and any(a != b for a, b in pairs):
        raise ValueError(f"expected count_include_pad=False where a window reaches beyond the padding, given {module!r}")
    settings = dict(kernel_shape=list(window.kernel), strides=list(window.stride))
    return graph.add("AveragePool", x, **settings, pads=ends(pairs), count_include_pad=int(counted))


def reached(window: Any, x: Value) -> list[tuple[int, int]]:
    """The padding at both ends of each axis, with what the last position of a `ceil_mode` sees beyond."""
    sizes = x.shape[2:]
    return [(p, wide - n - p) for p, wide, n in zip(window.padding, window.wide(sizes), sizes, strict=True)]


def adaptive_average_pool(graph: Graph, module: AdaptivePool, x: Value) -> Value:
    kernel = bins(module, x)
    return graph.add("AveragePool", x, kernel_shape=kernel, strides=kernel, pads=[0] * 2 * len(kernel), count_include_pad=0)


def adaptive_max_pool(graph: Graph, module: AdaptivePool, x: Value) -> Value:
    kernel = bins(module, x)
    return graph.add("MaxPool", x, kernel_shape=kernel, strides=kernel, dilations=[1] * len(kernel), pads=[0] * 2 * len(kernel))


def bins(module: AdaptivePool, x: Value) -> list[int]:
    """The size of a bin, where all are of one size."""
    (output,), sizes = module.settings, x.shape[2:]
    if any(n % out for n, out in zip(sizes, output, strict=True)):
        raise ValueError(f"expected an output size that divides {sizes}, given {module!r}")
    return [n // out for n, out in zip(sizes, output, strict=True)]
