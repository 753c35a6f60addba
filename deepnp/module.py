"""Modules: a stateful shell over the pure operations (Algorithm 1 of the thesis; see docs/references.md).

    forward(x)                                  y, and keeps what the three below need
    backward(dy, params=True, inputs=True)      adds to every Parameter.grad and returns dx;
                                                params=False computes dx only, inputs=False skips dx
                                                where nobody wants it
    jvp(vparameters, vx)                        vy = J v, the tangent of y along a direction in parameters and input
    predict(x)                                  y for inference: keeps nothing

`backward` and `jvp` belong to the last `forward`. They read what it kept and leave it there: called
twice, `backward` adds the same gradient twice. So a module stands at one place of a network: at
two, the second use would overwrite what the first one kept.

A module owns parameters and submodules as plain attributes; names in `state_dict` are PyTorch's
("0.weight").

A layer over an operation is a few lines:

    def forward(self, x):
        y, self._cache = op.forward(x, self.weight.data)
        return y

    def backward(self, dy, params=True, inputs=True):
        dx, dweight = op.backward(dy, self.cache)         # `cache`: an error in words where no forward came before
        if params:
            self.weight.grad += dweight
        return dx if inputs else None

    def _tangent(self, v, vx):
        return op.jvp(zeros_if_none(vx, self.cache.x), v[self.weight], self.cache)

    def predict(self, x):
        return op.forward(x, self.weight.data)[0]
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Self

import numpy as np

from deepnp.backend import array_module, to_device
from deepnp.checks import check_named, check_tangent
from deepnp.parameters import Buffer, Parameter, ParameterVector, Tangents, converted, lies_in


class Module(ABC):
    """Base of all modules. A subclass sets `Parameter`s and submodules as attributes and implements
    the methods below.

    `forward`, `backward` and `predict` are required; `_tangent` where `jvp` is wanted. `_cache` is
    what `forward` keeps.
    """

    transient = ("_cache",)  # attributes that a copy starts without
    _cache: Any = None

    @abstractmethod
    def forward(self, x) -> Any:
        """y of x, keeping what `backward` and `jvp` need."""

    @abstractmethod
    def backward(self, dy, params: bool = True, inputs: bool = True) -> Any:
        """Add dL/dparameter to each `Parameter.grad` (unless `params` is False); return dL/dx (None
        unless `inputs`).

        Raises
        ------
        ValueError
            If dy does not have the shape of the last y. Nothing is broadcast.
        RuntimeError
            If no `forward` came before.
        """

    @abstractmethod
    def predict(self, x) -> Any:
        """y of x for inference."""

    def jvp(self, vparameters=None, vx=None) -> Any:
        """Jacobian–vector product of the last `forward`: how y moves when parameters and input move
        along a direction.

        vy = ∂y/∂parameters · vparameters + ∂y/∂x · vx. It is the transpose of `backward`: ⟨dy, vy⟩
        = ⟨dparameters, vparameters⟩ + ⟨dx, vx⟩ for every dy.

        Parameters
        ----------
        vparameters : array (P,) or None
            A direction in the parameters, in the order of `parameters()`, as `flat.data` has it;
            None: they stay.
        vx : array like x, or None
            A direction in the input; a tuple where x is one. None: it stays.

        Returns
        -------
        array like y, or a tuple of them; None in a tuple for an output that does not move

        Raises
        ------
        ValueError
            If both are None, or a shape does not fit.
        RuntimeError
            If no `forward` came before.
        NotImplementedError
            If this module, or one in it, has no forward mode.
        """
        parameters = self.parameters()
        v = Tangents()
        if vparameters is not None:
            check_tangent(vparameters, (sum(p.data.size for p in parameters),))
            v.fill(parameters, vparameters)
        elif vx is None:
            raise ValueError("expected a direction in the parameters or in the input, given none")
        vy = self.tangent(v, vx)
        if vy is None:
            raise ValueError("expected a direction in the input, as there are no parameters")
        return vy

    def tangent(self, v: Tangents, vx) -> Any:
        """The tangent of y, given those of the parameters, v[p] for each `Parameter` p, and that of
        x; None stands for zero.

        What a module asks of the modules in it. The answer is None where y cannot move.
        """
        if vx is None and next(self.named_parameters(), None) is None:
            return None
        return self._tangent(v, vx)

    def _tangent(self, v: Tangents, vx):
        """As `tangent`, for each kind of module to implement. vx is None only if this module has
        parameters.
        """
        raise NotImplementedError(f"{type(self).__name__} has no jvp: it does not implement _tangent")

    def __call__(self, *inputs, **named):
        return self.forward(*inputs, **named)

    @property
    def cache(self) -> Any:
        """What the last `forward` kept.

        Raises
        ------
        RuntimeError
            If there was none.
        """
        if self._cache is None:
            raise RuntimeError(f"{self!r}: expected a forward before backward or jvp, given none since it was made or copied")
        return self._cache

    def children(self) -> Iterator[tuple[str, "Module"]]:
        """Direct submodules with their names, in the order of their creation."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def modules(self) -> Iterator["Module"]:
        """This module and all modules in it, depth first."""
        yield self
        for _, child in self.children():
            yield from child.modules()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, depth first; one that several modules share,
        once, by its first name.
        """
        seen: set[Parameter] = set()
        for name, p in self._named(Parameter):
            if p not in seen:
                seen.add(p)
                yield name, p

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """All buffers with their dotted names, depth first."""
        return self._named(Buffer)

    def _named(self, kind: type, prefix: str = "") -> Iterator:
        for name, value in vars(self).items():
            if isinstance(value, kind):
                yield prefix + name, value
        for name, child in self.children():
            yield from child._named(kind, f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        """All parameters, in the order of the flat vector."""
        return [p for _, p in self.named_parameters()]

    @property
    def flat(self) -> ParameterVector:
        """This module's parameters as one vector, built on first use and shared ever after; an
        empty one where there are none.
        """
        named = dict(self.named_parameters())
        vector = next(iter(named.values())).vector if named else None
        if vector is not None and list(vector.named.values()) == list(named.values()) and lies_in(vector.first.data, vector.data):
            return vector
        check_distinct(self)
        return ParameterVector(named)

    def __deepcopy__(self, memo: dict):
        """A copy with parameters of its own and no memory of any forward pass."""
        own = type(self).__new__(type(self))
        memo[id(self)] = own
        for name, value in vars(self).items():
            if name in self.transient:
                own.__dict__[name] = None
            else:
                own.__dict__[name] = value if isinstance(value, ModuleType) else copy.deepcopy(value, memo)
        return own

    def twin(self) -> "Module":
        """This module over the same parameters and buffers, with caches and gradients of its own.

        So two threads can run it at once, each on rows of its own; the sum of both gradients is the
        gradient. A twin is lost where the module's parameters move: `to`, or a larger model that
        takes them.
        """
        twin = self.flat.twin()
        memo = {id(p): q for p, q in zip(self.flat.named.values(), twin.named.values(), strict=True)}
        return copy.deepcopy(self, memo | {id(buffer): buffer for _, buffer in self.named_buffers()})

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        for p in self.parameters():
            p.grad.fill(0)

    def to(self, target) -> Self:
        """Move to a device ("cpu", "cuda") or change the dtype (`numpy.float64`), in place; returns
        self.

        Optimizers made before the move must be made again.

        Raises
        ------
        ValueError
            For a device that is not there.
        TypeError
            For a dtype that is not one of floating-point numbers.
        """
        device, dtype = (target, None) if isinstance(target, str) else (None, np.dtype(target))
        if target is None:  # NumPy's float64
            raise TypeError("expected a device or a dtype, given None")
        if dtype is not None and dtype.kind != "f":
            raise TypeError(f"expected a dtype of floating-point numbers, given {dtype}")
        named = dict(self.named_parameters())
        if named:
            ParameterVector(named, dtype, device)
        for _, buffer in self.named_buffers():
            if device is not None:
                buffer.data = to_device(buffer.data, device)
            elif buffer.data.dtype.kind == "f":  # a counter stays a counter
                buffer.data = buffer.data.astype(dtype)
        return self

    def state_dict(self) -> dict[str, np.ndarray]:
        """Name -> view of each parameter and buffer. Copy what must not change with training."""
        return {name: p.data for name, p in self._named_state()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Write `state` into the parameters and buffers, in place.

        Raises
        ------
        ValueError
            If names are missing or unknown, a shape differs, or a value is NaN or infinite, also
            only in our dtype.
        TypeError
            If a value is no array, or of another kind of numbers: integers where there are floats,
            complex numbers, text.
            Whatever is raised, nothing is written.
        """
        check_named(state)
        own = dict(self._named_state())
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unknown:
            raise ValueError(f"state does not fit this module: missing {missing}, unknown {unknown}")
        values = {name: converted(name, state[name], p.data) for name, p in own.items()}
        for name, p in own.items():
            p.data[...] = array_module(p.data).asarray(values[name])

    def _named_state(self) -> Iterator[tuple[str, Parameter | Buffer]]:
        yield from self._named(Parameter)
        yield from self._named(Buffer)


def check_distinct(*modules: Module) -> None:
    """Raise ValueError if one module object occurs twice in these and all that is in them.

    A module keeps one forward pass: used twice in a network, its first use would get its gradient
    from the second's values. Two modules may share a `Parameter`; each keeps values of its own, and
    the gradients add up.
    """
    seen: set[int] = set()
    for module in (part for whole in modules for part in whole.modules()):
        if id(module) in seen:
            raise ValueError(
                f"expected a module of its own at each place of a network, given {module!r} twice: it remembers one forward pass. "
                "Make a second one; to share weights, let both have the same Parameter"
            )
        seen.add(id(module))


def zeros_if_none(v, x) -> np.ndarray:
    """The tangent v; zeros, shaped as x, for None, which stands for them."""
    return array_module(x).zeros_like(x) if v is None else v
