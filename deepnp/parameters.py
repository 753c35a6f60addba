"""Parameters, kept flat: a model's parameters are views into one vector, its gradients into
another.

So an optimizer is a formula over two vectors, clipping by the global norm is one pass, a checkpoint
is one array. Parameters are written in place and never rebound.
"""

import math
from collections.abc import Iterable
from itertools import accumulate

import numpy as np

from deepnp.backend import array_module, to_device
from deepnp.checks import check_floats, check_shape


class Parameter:
    """A trainable array and its gradient.

    Parameters
    ----------
    data : array
        Initial value, of floating-point numbers.

    Attributes
    ----------
    data, grad : array
        Value and gradient, of one shape.
    vector : ParameterVector or None
        The flat vector that `data` and `grad` are views of.
    """

    __slots__ = ("data", "grad", "vector")

    def __init__(self, data):
        check_floats(data, "a parameter")
        self.data = data
        self.grad = array_module(data).zeros_like(data)
        self.vector: ParameterVector | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.data.dtype})"


class Buffer:
    """An array that belongs to a module and to its `state_dict`, but is not trained: running
    statistics, a counter.

    Written in place, like a parameter's data.
    """

    __slots__ = ("data",)

    def __init__(self, data):
        self.data = data

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def __repr__(self) -> str:
        return f"Buffer(shape={self.shape}, dtype={self.data.dtype})"


class ParameterVector:
    """All parameters of a model as one contiguous vector, their gradients as another.

    Building it makes every `Parameter.data` and `.grad` a view.

    Parameters
    ----------
    named : dict of str to Parameter
        In the order in which they lie in the vector. May be empty.
    dtype : optional
        Of the new vectors; the parameters' own by default.
    device : {"cpu", "cuda", None}
        Where the new vectors lie; None leaves them where the parameters are.

    Attributes
    ----------
    data, grad : array (P,)
        The vectors.
    stale : bool
        True once a larger model took these parameters into its own vector.
    """

    def __init__(self, named: dict[str, Parameter], dtype=None, device: str | None = None):
        self.named = dict(named)
        self.stale = False
        parameters = list(named.values())
        if not parameters:  # nothing to train: a vector of nothing
            self.data, self.grad = np.zeros(0, dtype or np.float32), np.zeros(0, dtype or np.float32)
            return
        pieces = [p.data if device is None else to_device(p.data, device) for p in parameters]
        gradients = [p.grad if device is None else to_device(p.grad, device) for p in parameters]
        xp = array_module(pieces[0])
        dtype = dtype or np.result_type(*(p.dtype for p in pieces))
        self.data = xp.concatenate([p.ravel() for p in pieces]).astype(dtype)
        self.grad = xp.concatenate([g.ravel() for g in gradients]).astype(dtype)
        start = 0
        for p in parameters:
            if p.vector is not None:
                p.vector.stale = True
            stop = start + math.prod(p.shape)
            shape = p.shape
            p.data, p.grad = self.data[start:stop].reshape(shape), self.grad[start:stop].reshape(shape)
            p.vector = self
            start = stop

    def twin(self) -> "ParameterVector":
        """The same data, with a gradient of its own, as another vector of other `Parameter`s."""
        twin = ParameterVector.__new__(ParameterVector)
        twin.data, twin.grad, twin.stale = self.data, array_module(self.grad).zeros_like(self.grad), False
        twin.named = {name: Parameter(p.data) for name, p in self.named.items()}
        for p, gradient in zip(twin.named.values(), twin.views(twin.grad).values(), strict=True):
            p.grad, p.vector = gradient, twin
        return twin

    def __len__(self) -> int:
        return len(self.data)

    def views(self, vector) -> dict[str, np.ndarray]:
        """Named views, shaped as the parameters, of any vector as long as this one."""
        check_shape("a vector", vector, self.data.shape)
        return dict(zip(self.named, split(vector, self.named.values()), strict=True))

    @property
    def first(self) -> Parameter:
        """The parameter that the vector begins with."""
        return next(iter(self.named.values()))

    def starts(self) -> dict[int, int]:
        """Where each parameter begins, by its id()."""
        sizes = [math.prod(p.shape) for p in self.named.values()]
        return dict(zip(map(id, self.named.values()), accumulate(sizes, initial=0), strict=False))

    def zero_grad(self) -> None:
        """Set the gradient to zero."""
        self.grad.fill(0)

    def owner(self, index: int) -> str:
        """Name of the parameter that element `index` of the vector belongs to."""
        stop = 0
        for name, p in self.named.items():
            stop += math.prod(p.shape)
            if index < stop:
                return name
        raise IndexError(f"expected an index below {stop}, given {index}")

    def check_finite(self, vector, what: str) -> None:
        """Raise `NonFiniteError` if `vector` (this one's data or gradient) holds a NaN or an
        infinity.
        """
        xp = array_module(vector)
        if bool(xp.isfinite(vector @ vector)):  # one pass; an overflowing square of finite values is looked at below
            return
        bad = np.flatnonzero(to_device(~xp.isfinite(vector), "cpu"))
        if len(bad):
            raise NonFiniteError(f'{what} of parameter "{self.owner(int(bad[0]))}" holds {vector[int(bad[0])]} ({len(bad)} values)')


class Tangents(dict):
    """Tangents of parameters: v[p], shaped as the `Parameter` p; zeros for one that does not move."""

    def fill(self, parameters: list[Parameter], vector) -> None:
        """Set the tangents of these parameters, which lie one after the other in a vector."""
        self.update(zip(parameters, split(vector, parameters), strict=True))

    def __missing__(self, p: Parameter):
        return array_module(p.data).zeros_like(p.data)


def split(vector, parameters: Iterable[Parameter]) -> list:
    """The vector in pieces, as views, shaped as these parameters one after the other."""
    pieces, start = [], 0
    for p in parameters:
        stop = start + math.prod(p.shape)
        pieces.append(vector[start:stop].reshape(p.shape))
        start = stop
    return pieces


def converted(name: str, value, like) -> np.ndarray:
    """An array for the place of `like`: on the CPU, of its dtype.

    Raises
    ------
    ValueError
        If its shape differs, or a number is not finite, be it only in that dtype.
    TypeError
        If it is no array, or its numbers are of another kind: no float becomes an integer, nor the
        reverse.
    """
    check_shape(f'"{name}"', value, like.shape)
    kinds = {"f": "f", "i": "iu", "u": "iu"}.get(like.dtype.kind, like.dtype.kind)
    if value.dtype.kind not in kinds:
        raise TypeError(f'expected "{name}" of dtype {like.dtype}, given {value.dtype}')
    with np.errstate(over="ignore"):
        own = to_device(value, "cpu").astype(like.dtype)
    if own.dtype.kind == "f" and not np.isfinite(own).all():
        raise ValueError(f'expected finite values in "{name}", given {(~np.isfinite(own)).sum()} that are not')
    return own


def consecutive(parameters: list[Parameter]) -> tuple[np.ndarray, np.ndarray] | None:
    """Data and gradients of parameters that follow one another in a flat vector, as two pieces of
    it; None if they do not.

    Parameters that lie in no vector yet get one of their own.
    """
    if not any(p.vector is not None and lies_in(p.data, p.vector.data) for p in parameters):
        ParameterVector({str(i): p for i, p in enumerate(parameters)})
    vector = parameters[0].vector
    starts = vector.starts()
    start = stop = starts.get(id(parameters[0]))
    for p in parameters:
        if p.vector is not vector or starts.get(id(p)) != stop or not lies_in(p.data, vector.data):
            return None
        stop += math.prod(p.shape)
    return vector.data[start:stop], vector.grad[start:stop]


def lies_in(view, vector) -> bool:
    """Whether an array is a view of another; not so any more after copy.deepcopy."""
    return array_module(view).may_share_memory(view, vector)  # exact, as both are contiguous; CuPy's shares_memory sorts addresses


class NonFiniteError(FloatingPointError):
    """A loss, gradient, observation or reward is NaN or infinite; the message names the array."""
