"""What ONNX's operations are in NumPy: as text, for a policy.py, and done at once.

An expression is a function of the operands' text and the operation's settings.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rl.training.export import numpy_functions


def infix(sign: str) -> Callable[..., str]:
    """x sign y."""
    return lambda x, y: f"{x} {sign} {y}"


def call(function: str) -> Callable[..., str]:
    """function(x, …, setting=…)."""

    def text(*x, **settings):
        return f"{function}({', '.join([*x, *(f'{name}={value!r}' for name, value in settings.items())])})"

    return text


def gemm(x: str, weight: str, bias: str, *, transB: int) -> str:
    """x Wᵀ + b."""
    return f"{x} @ {weight}.T + {bias}"


def along(axis: int, index: str) -> str:
    """An index of one axis, as it is written in brackets."""
    return f"..., {index}" if axis == -1 else ":, " * axis + index


def part(x: str, *, starts: list[int], ends: list[int], axes: list[int]) -> str:
    """x from start to end along one axis."""
    (start,), (end,), (axis,) = starts, ends, axes
    return f"{x}[{along(axis, f'{start}:{end}')}]"


EXPRESSIONS: dict[str, Callable[..., str]] = {
    "Add": infix("+"),
    "Sub": infix("-"),
    "Mul": infix("*"),
    "Div": infix("/"),
    "Equal": infix("=="),
    "Greater": infix(">"),
    "MatMul": infix("@"),
    "Gemm": gemm,
    "Min": call("np.minimum"),
    "Max": call("np.maximum"),
    "Clip": call("np.clip"),
    "Sqrt": call("np.sqrt"),
    "Log": call("np.log"),
    "Sin": call("np.sin"),
    "Tanh": call("np.tanh"),
    "Relu": lambda x: f"np.maximum({x}, 0)",
    "Sigmoid": call("sigmoid"),
    "Softplus": call("softplus"),
    "Erf": call("erf"),
    "LeakyRelu": call("leaky_relu"),
    "Elu": call("elu"),
    "Softmax": call("softmax"),
    "LogSoftmax": lambda x, *, axis: f"np.log(softmax({x}, axis={axis}))",
    "PRelu": call("leaky_relu"),
    "ReduceMean": lambda x, *, axes, keepdims: f"{x}.mean({tuple(axes)}, keepdims={bool(keepdims)})",
    "Cast": lambda x, *, to: f"{x}.astype(np.{to})",
    "Reshape": lambda x, *, shape: f"{x}.reshape({', '.join(map(str, shape))})",
    "Transpose": lambda x, *, perm: f"{x}.T" if perm == [1, 0] else f"{x}.transpose({', '.join(map(str, perm))})",
    "Concat": lambda *x, axis: f"np.concatenate([{', '.join(x)}], axis={axis})",
    "Slice": part,
    "Gather": lambda x, indices, *, axis: f"{x}[{along(axis, indices)}]",
    "ArgMax": lambda x, *, axis, keepdims: f"{x}.argmax({axis}{', keepdims=True' if keepdims else ''})",
    "Pad": call("pad"),
    "Conv": call("conv"),
    "MaxPool": call("max_pool"),
    "AveragePool": call("average_pool"),
}


def evaluate(op: str, operands: list[Any], settings: dict[str, Any]) -> np.ndarray:
    """An operation done on arrays and numbers; ValueError if it is none of those above."""
    if op not in EXPRESSIONS:
        raise ValueError(f"expected an operation among {sorted(EXPRESSIONS)}, given {op!r}")
    names = {f"x{i}": operand for i, operand in enumerate(operands)}
    scope = {"np": np, **vars(numpy_functions), **names}
    return eval(EXPRESSIONS[op](*names, **settings), scope)
