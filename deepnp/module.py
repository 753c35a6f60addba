"""Modules: the thesis's stateful shell over the pure operations (its Algorithm 1).

    forward(x)                  y, and caches what backward needs
    backward(dy, params=True, inputs=True)      adds to every Parameter.grad and returns dx;
                                params=False computes dx only, inputs=False skips dx where nobody wants it
    predict(x)                  y for inference: caches nothing

A module owns parameters and submodules as plain attributes; names in `state_dict` are PyTorch's ("0.weight").
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from deepnp.backend import array_module, to_device
from deepnp.parameters import Buffer, Parameter, ParameterVector, lies_in


class Module(ABC):
    """Base of all modules. A subclass sets `Parameter`s and submodules as attributes and implements three methods."""

    transient = ("_cache",)  # attributes that a copy starts without

    @abstractmethod
    def forward(self, x):
        """y of x, remembering what `backward` needs."""

    @abstractmethod
    def backward(self, dy, params: bool = True, inputs: bool = True):
        """Add dL/dparameter to each `Parameter.grad` (unless `params` is False); return dL/dx (None unless `inputs`)."""

    @abstractmethod
    def predict(self, x):
        """y of x for inference."""

    def __call__(self, x):
        return self.forward(x)

    def children(self) -> Iterator[tuple[str, "Module"]]:
        """Direct submodules with their names, in the order of their creation."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, depth first."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_parameters(f"{prefix}{name}.")

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Buffer]]:
        """All buffers with their dotted names, depth first."""
        for name, value in vars(self).items():
            if isinstance(value, Buffer):
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_buffers(f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        """All parameters, in the order of the flat vector."""
        return [p for _, p in self.named_parameters()]

    @property
    def flat(self) -> ParameterVector:
        """This module's parameters as one vector, built on first use and shared ever after."""
        named = dict(self.named_parameters())
        vector = next(iter(named.values())).vector if named else None
        if vector is not None and list(vector.named.values()) == list(named.values()) and lies_in(vector.first.data, vector.data):
            return vector
        return ParameterVector(named)

    def __deepcopy__(self, memo: dict):
        """A twin with parameters of its own and no memory of any forward pass."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for name, value in vars(self).items():
            if name in self.transient:
                twin.__dict__[name] = None
            else:
                twin.__dict__[name] = value if isinstance(value, ModuleType) else copy.deepcopy(value, memo)
        return twin

    def shadow(self) -> "Module":
        """This module over the same parameters and buffers, with caches and gradients of its own.

        So two threads can run it at once, each on rows of its own; the sum of both gradients is the gradient. A shadow is lost
        where the module's parameters move: `to`, or a larger model that takes them.
        """
        shadow = self.flat.shadow()
        memo = {id(p): q for p, q in zip(self.flat.named.values(), shadow.named.values(), strict=True)}
        return copy.deepcopy(self, memo | {id(buffer): buffer for _, buffer in self.named_buffers()})

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self.flat.zero_grad()

    def to(self, target):
        """Move to a device ("cpu", "cuda") or change the dtype (`numpy.float64`), in place; returns self.

        Optimizers made before the move must be made again.
        """
        device, dtype = (target, None) if isinstance(target, str) else (None, np.dtype(target))
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
            If names are missing or unknown, or a shape differs; nothing is written then.
        """
        own = dict(self._named_state())
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unknown:
            raise ValueError(f"state does not fit this module: missing {missing}, unknown {unknown}")
        for name, p in own.items():
            if state[name].shape != p.shape:
                raise ValueError(f'expected "{name}" of shape {p.shape}, given {state[name].shape}')
        for name, p in own.items():
            p.data[...] = array_module(p.data).asarray(to_device(state[name], "cpu"))  # wherever it came from

    def _named_state(self) -> Iterator[tuple[str, Parameter | Buffer]]:
        yield from self.named_parameters()
        yield from self.named_buffers()
