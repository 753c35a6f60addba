"""Parameters, kept flat: a model's parameters are views into one vector, its gradients into another.

So an optimizer is a formula over two vectors, clipping by the global norm is one pass, a checkpoint is one array.
Parameters are written in place and never rebound.
"""

import math
from itertools import accumulate

import numpy as np

from deepnp.backend import array_module, to_device


class Parameter:
    """A trainable array and its gradient.

    Parameters
    ----------
    data : array
        Initial value.

    Attributes
    ----------
    data, grad : array
        Value and gradient, of one shape.
    vector : ParameterVector or None
        The flat vector that `data` and `grad` are views of.
    """

    __slots__ = ("data", "grad", "vector")

    def __init__(self, data):
        self.data = data
        self.grad = array_module(data).zeros_like(data)
        self.vector: ParameterVector | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.data.dtype})"


class Buffer:
    """An array that belongs to a module and to its `state_dict`, but is not trained: running statistics, a counter.

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
        In the order in which they lie in the vector.
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
        if not named:
            raise ValueError("expected at least one parameter, given none")
        self.named = dict(named)
        parameters = list(named.values())
        pieces = [p.data if device is None else to_device(p.data, device) for p in parameters]
        gradients = [p.grad if device is None else to_device(p.grad, device) for p in parameters]
        xp = array_module(pieces[0])
        dtype = dtype or np.result_type(*(p.dtype for p in pieces))
        self.data = xp.concatenate([p.ravel() for p in pieces]).astype(dtype)
        self.grad = xp.concatenate([g.ravel() for g in gradients]).astype(dtype)
        self.stale = False
        start = 0
        for p in parameters:
            if p.vector is not None:
                p.vector.stale = True
            stop = start + math.prod(p.shape)
            shape = p.shape
            p.data, p.grad = self.data[start:stop].reshape(shape), self.grad[start:stop].reshape(shape)
            p.vector = self
            start = stop

    def shadow(self) -> "ParameterVector":
        """The same data, with a gradient of its own, as another vector of other `Parameter`s."""
        shadow = ParameterVector.__new__(ParameterVector)
        shadow.data, shadow.grad, shadow.stale = self.data, array_module(self.grad).zeros_like(self.grad), False
        shadow.named = {name: Parameter(p.data) for name, p in self.named.items()}
        for p, gradient in zip(shadow.named.values(), shadow.views(shadow.grad).values(), strict=True):
            p.grad, p.vector = gradient, shadow
        return shadow

    def __len__(self) -> int:
        return len(self.data)

    def views(self, vector) -> dict[str, np.ndarray]:
        """Named views, shaped as the parameters, of any vector as long as this one."""
        out, start = {}, 0
        for name, p in self.named.items():
            stop = start + math.prod(p.shape)
            out[name] = vector[start:stop].reshape(p.shape)
            start = stop
        return out

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
        """Raise `NonFiniteError` if `vector` (this one's data or gradient) holds a NaN or an infinity."""
        xp = array_module(vector)
        if bool(xp.isfinite(vector @ vector)):  # one pass; an overflowing square of finite values is looked at below
            return
        bad = np.flatnonzero(to_device(~xp.isfinite(vector), "cpu"))
        if len(bad):
            raise NonFiniteError(f'{what} of parameter "{self.owner(int(bad[0]))}" holds {vector[int(bad[0])]} ({len(bad)} values)')


def consecutive(parameters: list[Parameter]):
    """Data and gradients of parameters that follow one another in a flat vector, as two pieces of it; None if they do not.

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
