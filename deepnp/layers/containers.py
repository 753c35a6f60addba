"""Containers: modules made of modules, one after the other, side by side, or around a skip
connection.

Sequential(a, b)                                 y = b(a(x))
Residual(body)                                   y = body(x) + x
Sequential(Fork(a, b), Join())                   y = a(x) + b(x)
Sequential(Fork(body, Identity()), Join(1))      y = body(x) beside x itself, along axis 1
Sequential(backbone, Heads(value=…, policy=…))   (value(h), policy(h)) of h = backbone(x)
"""

from typing import Any

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats, check_upstream
from deepnp.layers.fusion import DenseStack, fuse
from deepnp.module import Module, check_distinct

__all__ = ["Fork", "Heads", "Identity", "Join", "Residual", "Sequential"]


class Sequential(Module):
    """Modules one after the other.

    `Linear`s and the activations between them run as one operation where these can be fused: same
    mathematics, same parameter names, fewer calls.

    Parameters
    ----------
    *modules : Module
        Named "0", "1", … in `state_dict`, as in PyTorch.

    Attributes
    ----------
    steps : list of Module
        What runs: the modules, with a `DenseStack` in the place of those that it fuses.

    Raises
    ------
    ValueError
        If there are none, or one object occurs twice (see `deepnp.module.check_distinct`).
    TypeError
        For what is no Module.
    """

    def __init__(self, *modules: Module):
        check_modules({f"position {i}": module for i, module in enumerate(modules)})
        if not modules:
            raise ValueError("expected at least one module, given none")
        for i, module in enumerate(modules):
            setattr(self, str(i), module)
        self.steps = fuse(modules)

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __getitem__(self, i: int) -> Module:
        return dict(self.children())[str(range(len(self))[i])]

    def forward(self, x) -> np.ndarray:
        for step in self.steps:
            x = step.forward(x)
        return x

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        for step in reversed(self.steps[1:]):
            dy = step.backward(dy, params)
        return self.steps[0].backward(dy, params, inputs)

    def predict(self, x) -> np.ndarray:
        for step in self.steps:
            x = step.predict(x)
        return x

    def _tangent(self, v, vx):
        for step in self.steps:
            vx = step.tangent(v, vx)
        return vx

    def __repr__(self) -> str:
        return f"Sequential({', '.join(repr(module) for _, module in self.children())})"


class Heads(Module):
    """Several modules that read one input, side by side: x -> (y_0, y_1, …).

    The input feeds every head, so its gradient is the sum of theirs.

    Parameters
    ----------
    **heads : Module
        With their names in `state_dict`.

    Raises
    ------
    ValueError
        If there are none, or one object occurs twice; in `backward`, unless there is a gradient for
        each head.
    TypeError
        For what is no Module.
    """

    def __init__(self, **heads: Module):
        check_modules(heads)
        if not heads:
            raise ValueError("expected at least one head, given none")
        for name, head in heads.items():
            setattr(self, name, head)

    def forward(self, x) -> tuple:
        y = tuple(head.forward(x) for _, head in self.children())
        self._cache = tuple(None if isinstance(part, tuple) else part.shape for part in y)  # a head of heads looks itself
        return y

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        heads = [head for _, head in self.children()]
        if not isinstance(dy, tuple | list) or len(dy) != len(heads):
            given = f"{len(dy)} of them" if isinstance(dy, tuple | list) else type(dy).__name__
            raise ValueError(f"expected dy as a tuple of {len(heads)}, a gradient for each head, given {given}")
        for d, shape in zip(dy, self.cache, strict=True):  # all of them, before the first gradient is added to
            if shape is not None:
                check_upstream(d, shape)
        dx = [head.backward(d, params, inputs) for head, d in zip(heads, dy, strict=True)]
        return sum(dx) if inputs else None

    def predict(self, x) -> tuple:
        return tuple(head.predict(x) for _, head in self.children())

    def _tangent(self, v, vx) -> tuple:
        return tuple(head.tangent(v, vx) for _, head in self.children())

    def __repr__(self) -> str:
        return f"Heads({', '.join(f'{name}={head!r}' for name, head in self.children())})"


def Fork(*branches: Module) -> Heads:
    """x -> (branch_0(x), branch_1(x), …); named "0", "1", … in `state_dict`. `Join` brings them
    together again.
    """
    if not branches:
        raise ValueError("expected at least one branch, given none")
    return Heads(**{str(i): branch for i, branch in enumerate(branches)})


class Identity(Module):
    """y = x: the branch that does nothing."""

    def __init__(self):
        self._cache = None

    def forward(self, x) -> np.ndarray:
        check_floats(x)
        self._cache = x.shape
        return x

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        check_upstream(dy, self.cache)
        return dy if inputs else None

    def predict(self, x) -> np.ndarray:
        check_floats(x)
        return x

    def _tangent(self, v, vx):
        check_upstream(vx, self.cache)
        return vx

    def __repr__(self) -> str:
        return "Identity()"


class Residual(Module):
    """y = body(x) + skip(x).

    x reaches y twice, so dx is the sum of the body's gradient and the skip's; without a projection
    the latter is dy itself.

    Parameters
    ----------
    body : Module
        Its output has the shape of x, or of skip(x).
    skip : Module or None
        A projection of x to the body's shape, such as a `Linear`; None is the identity.

    Raises
    ------
    ValueError
        If one module object occurs twice; in `forward`, if the two shapes differ.
    TypeError
        For what is no Module.
    """

    def __init__(self, body: Module, skip: Module | None = None):
        skip = Identity() if skip is None else skip
        check_modules({"body": body, "skip": skip})
        self.body, self.skip = body, skip

    def forward(self, x) -> np.ndarray:
        return self._add(self.body.forward(x), self.skip.forward(x))

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dbody, dskip = self.body.backward(dy, params, inputs), self.skip.backward(dy, params, inputs)
        return dbody + dskip if inputs else None

    def predict(self, x) -> np.ndarray:
        return self._add(self.body.predict(x), self.skip.predict(x))

    def _tangent(self, v, vx):
        return added(self.body.tangent(v, vx), self.skip.tangent(v, vx))

    def _add(self, body, skip):
        if body.shape != skip.shape:
            raise ValueError(f"expected a body and a skip of one shape, given {body.shape} and {skip.shape}: project the skip")
        return body + skip

    def __repr__(self) -> str:
        return f"Residual({self.body!r})" if isinstance(self.skip, Identity) else f"Residual({self.body!r}, {self.skip!r})"


class Join(Module):
    """Several arrays into one: their sum, or one beside the other along an axis.

    The sum's gradient goes to every part as it is; concatenation hands each part its own piece.

    Parameters
    ----------
    axis : int or None
        Axis to concatenate along; None sums.

    Raises
    ------
    ValueError
        In `forward`, for no parts at all or for shapes that do not fit.
    """

    def __init__(self, axis: int | None = None):
        self.axis = axis
        self._cache = None

    def forward(self, parts: tuple) -> np.ndarray:
        y = self.predict(parts)
        self._cache = [part.shape for part in parts], y.shape
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> tuple[np.ndarray, ...] | None:
        """dy -> a tuple with the gradient of each part."""
        shapes, shape = self.cache
        check_upstream(dy, shape)
        if not inputs:
            return None
        if self.axis is None:
            return (dy,) * len(shapes)
        pieces, start = [], 0
        for part in shapes:
            stop = start + part[self.axis]
            pieces.append(dy[(slice(None),) * (self.axis % dy.ndim) + (slice(start, stop),)])
            start = stop
        return tuple(pieces)

    def predict(self, parts: tuple) -> np.ndarray:
        for part in parts:
            check_floats(part, "each part")
        shapes = [part.shape for part in parts]
        if not shapes:
            raise ValueError("expected at least one part to join, given none")
        if len({self._must_agree(shape) for shape in shapes}) > 1:
            beside = "" if self.axis is None else f" but for axis {self.axis}"
            raise ValueError(f"expected parts of one shape{beside}, given {shapes}")
        return self._join(parts)

    def _tangent(self, v, vx: tuple):
        if self.axis is None or all(part is None for part in vx):
            return added(*vx)
        moved = next(part for part in vx if part is not None)
        zeros, (shapes, _) = array_module(moved).zeros, self.cache
        return self._join([zeros(shape, moved.dtype) if part is None else part for part, shape in zip(vx, shapes, strict=True)])

    def _join(self, parts):
        if self.axis is None:
            return sum(parts[1:], start=parts[0])
        return array_module(parts[0]).concatenate(parts, axis=self.axis)

    def _must_agree(self, shape: tuple[int, ...]) -> tuple:
        if self.axis is None:
            return shape
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(f"expected parts with an axis {self.axis}, given shape {shape}")
        axis = self.axis % len(shape)
        return shape[:axis], shape[axis + 1 :]

    def __repr__(self) -> str:
        return "Join()" if self.axis is None else f"Join({self.axis})"


def added(*tangents) -> Any:
    """The sum of tangents; None stands for zero."""
    moved = [v for v in tangents if v is not None]
    return sum(moved[1:], start=moved[0]) if moved else None


def whole(module: Module) -> DenseStack | None:
    """The stack that is all of a module; None where the module is more than that, or something else.

    A subclass of `Sequential` is something else: its passes may be its own.
    """
    if isinstance(module, DenseStack):
        return module
    steps = module.steps if type(module) is Sequential else ()
    return steps[0] if len(steps) == 1 and isinstance(steps[0], DenseStack) else None


def check_modules(modules: dict[str, Module]) -> None:
    """Raise TypeError for what is no Module, ValueError if an object occurs twice in these and all
    that is in them.
    """
    for name, module in modules.items():
        if not isinstance(module, Module):
            raise TypeError(f"expected a Module as {name}, given {type(module).__name__}")
    check_distinct(*modules.values())
