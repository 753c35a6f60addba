"""Containers: modules made of modules, one after the other, side by side, or around a skip connection.

Sequential(a, b)                                 y = b(a(x))
Residual(body)                                   y = body(x) + x
Sequential(Fork(a, b), Join())                   y = a(x) + b(x)
Sequential(Fork(body, Identity()), Join(1))      y = body(x) beside x itself, along axis 1
Sequential(backbone, Heads(value=…, policy=…))   (value(h), policy(h)) of h = backbone(x)
"""

from deepnp.backend import array_module
from deepnp.layers.fusion import fuse
from deepnp.module import Module

__all__ = ["Fork", "Heads", "Identity", "Join", "Residual", "Sequential"]


class Sequential(Module):
    """Modules one after the other.

    `Linear`s and the activations between them run as one operation where these can be fused: same mathematics, same parameter
    names, fewer calls.

    Parameters
    ----------
    *modules : Module
        Named "0", "1", … in `state_dict`, as in PyTorch.
    """

    def __init__(self, *modules: Module):
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"expected a Module at position {i}, given {type(module).__name__}")
            setattr(self, str(i), module)
        if not modules:
            raise ValueError("expected at least one module, given none")
        self._steps = fuse(modules)

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __getitem__(self, i: int) -> Module:
        return dict(self.children())[str(range(len(self))[i])]

    def forward(self, x):
        for step in self._steps:
            x = step.forward(x)
        return x

    def backward(self, dy, params: bool = True, inputs: bool = True):
        for step in reversed(self._steps[1:]):
            dy = step.backward(dy, params)
        return self._steps[0].backward(dy, params, inputs)

    def predict(self, x):
        for step in self._steps:
            x = step.predict(x)
        return x


class Heads(Module):
    """Several modules that read one input, side by side: x -> (y_0, y_1, …).

    The input feeds every head, so its gradient is the sum of theirs.
    """

    def __init__(self, **heads: Module):
        if not heads:
            raise ValueError("expected at least one head, given none")
        for name, head in heads.items():
            setattr(self, name, head)

    def forward(self, x) -> tuple:
        return tuple(head.forward(x) for _, head in self.children())

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True):
        dx = [head.backward(d, params, inputs) for (_, head), d in zip(self.children(), dy, strict=True)]
        return sum(dx) if inputs else None

    def predict(self, x) -> tuple:
        return tuple(head.predict(x) for _, head in self.children())


class Identity(Module):
    """y = x: the branch that does nothing."""

    def forward(self, x):
        return x

    def backward(self, dy, params: bool = True, inputs: bool = True):
        return dy if inputs else None

    def predict(self, x):
        return x

    def __repr__(self) -> str:
        return "Identity()"


class Residual(Module):
    """y = body(x) + skip(x).

    x reaches y twice, so dx is the sum of the body's gradient and the skip's; without a projection the latter is dy itself.

    Parameters
    ----------
    body : Module
        Its output has the shape of x, or of skip(x).
    skip : Module or None
        A projection of x to the body's shape, such as a `Linear`; None is the identity.

    Raises
    ------
    ValueError
        In `forward`, if the two shapes differ.
    """

    def __init__(self, body: Module, skip: Module | None = None):
        _check_modules("body", body, *(() if skip is None else (skip,)))
        self.body = body
        self.skip = Identity() if skip is None else skip

    def forward(self, x):
        return self._add(self.body.forward(x), self.skip.forward(x))

    def backward(self, dy, params: bool = True, inputs: bool = True):
        dbody, dskip = self.body.backward(dy, params, inputs), self.skip.backward(dy, params, inputs)
        return dbody + dskip if inputs else None

    def predict(self, x):
        return self._add(self.body.predict(x), self.skip.predict(x))

    def _add(self, body, skip):
        if body.shape != skip.shape:
            raise ValueError(f"expected a body and a skip of one shape, given {body.shape} and {skip.shape}: project the skip")
        return body + skip

    def __repr__(self) -> str:
        return f"Residual({self.body!r})" if isinstance(self.skip, Identity) else f"Residual({self.body!r}, {self.skip!r})"


def Fork(*branches: Module) -> Heads:
    """x -> (branch_0(x), branch_1(x), …); named "0", "1", … in `state_dict`. `Join` brings them together again."""
    _check_modules("a branch", *branches)
    if not branches:
        raise ValueError("expected at least one branch, given none")
    return Heads(**{str(i): branch for i, branch in enumerate(branches)})


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

    def forward(self, parts: tuple):
        y = self.predict(parts)
        self._cache = [part.shape for part in parts]
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        """dy -> a tuple with the gradient of each part."""
        if not inputs:
            return None
        if self.axis is None:
            return (dy,) * len(self._cache)
        pieces, start = [], 0
        for shape in self._cache:
            stop = start + shape[self.axis]
            pieces.append(dy[(slice(None),) * (self.axis % dy.ndim) + (slice(start, stop),)])
            start = stop
        return tuple(pieces)

    def predict(self, parts: tuple):
        shapes = [part.shape for part in parts]
        if not shapes:
            raise ValueError("expected at least one part to join, given none")
        if len({self._must_agree(shape) for shape in shapes}) > 1:
            beside = "" if self.axis is None else f" but for axis {self.axis}"
            raise ValueError(f"expected parts of one shape{beside}, given {shapes}")
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


def _check_modules(what: str, *modules: Module) -> None:
    for module in modules:
        if not isinstance(module, Module):
            raise TypeError(f"expected {what} that is a Module, given {type(module).__name__}")
