"""Activations as modules over the operations of `deepnp.ops.activation`. What PyTorch has too takes PyTorch's positions."""

import math
from types import ModuleType

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats
from deepnp.module import Module, zeros_if_none
from deepnp.ops.activation import (
    elu,
    gelu,
    gelu_tanh,
    glu,
    hard_tanh,
    leaky_relu,
    log_softmax,
    mish,
    prelu,
    relu,
    rrelu,
    selu,
    sigmoid,
    silu,
    sine,
    softmax,
    softplus,
    tanh,
)
from deepnp.parameters import Parameter

__all__ = [
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Activation",
    "Hardtanh",
    "LeakyReLU",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Sine",
    "Softmax",
    "Softplus",
    "Tanh",
]


class Activation(Module):
    """An activation without parameters, of any input shape.

    Parameters
    ----------
    op : module
        An operation of `deepnp.ops.activation`.
    *settings
        Its remaining arguments, in order.
    """

    def __init__(self, op: ModuleType, *settings: float):
        self.op = op
        self.settings = settings
        self._cache = None

    def forward(self, x) -> np.ndarray:
        check_floats(x)
        y, self._cache = self.op.forward(x, *self.settings)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx = self.op.backward(dy, self.cache)
        return dx if inputs else None

    def predict(self, x) -> np.ndarray:
        check_floats(x)
        return self.op.forward(x, *self.settings)[0]

    def _tangent(self, v, vx):
        return self.op.jvp(vx, self.cache)

    def __repr__(self) -> str:
        name = type(self).__name__ if type(self) is not Activation else self.op.__name__.rsplit(".", 1)[-1]
        return f"{name}({', '.join(map(str, self.settings))})"


class Tanh(Activation):
    """y = tanh x."""

    def __init__(self):
        super().__init__(tanh)


class ReLU(Activation):
    """y = max(x, 0)."""

    def __init__(self, inplace: bool = False):
        check_not_in_place(inplace)
        super().__init__(relu)


class LeakyReLU(Activation):
    """y = x for x > 0, negative_slope·x elsewhere."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        check_finite(negative_slope=negative_slope)
        check_not_in_place(inplace)
        super().__init__(leaky_relu, negative_slope)


class ELU(Activation):
    """y = x for x > 0, alpha·(e^x − 1) elsewhere; alpha must not be negative."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        if not 0 <= alpha < math.inf:
            raise ValueError(f"expected a finite alpha >= 0, given {alpha}")
        check_not_in_place(inplace)
        super().__init__(elu, alpha)


class SELU(Activation):
    """y = λx for x > 0, λα(e^x − 1) elsewhere, with the α and λ that keep mean 0 and variance 1."""

    def __init__(self, inplace: bool = False):
        check_not_in_place(inplace)
        super().__init__(selu)


class Hardtanh(Activation):
    """y = x between min_val and max_val, and the nearer of the two beyond."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        if not min_val < max_val:
            raise ValueError(f"expected min_val < max_val, given {min_val} and {max_val}")
        check_not_in_place(inplace)
        super().__init__(hard_tanh, min_val, max_val)


class Sigmoid(Activation):
    """y = 1/(1 + e^−x)."""

    def __init__(self):
        super().__init__(sigmoid)


class Softplus(Activation):
    """y = (scale/beta)·ln(1 + e^{beta·x}); both must be positive. It needs no threshold: the form is stable everywhere."""

    def __init__(self, beta: float = 1.0, *, scale: float = 1.0):
        if not 0 < beta < math.inf or not 0 < scale < math.inf:
            raise ValueError(f"expected finite beta > 0 and scale > 0, given beta={beta}, scale={scale}")
        super().__init__(softplus, beta, scale)


class GELU(Activation):
    """y = x·Φ(x), Φ the standard normal's distribution function; approximate="tanh" takes ½(1 + tanh …) for it."""

    def __init__(self, approximate: str = "none"):
        forms = {"none": gelu, "tanh": gelu_tanh}
        if approximate not in forms:
            raise ValueError(f'expected approximate "none" or "tanh", given {approximate!r}')
        super().__init__(forms[approximate])


class SiLU(Activation):
    """y = x·σ(x)."""

    def __init__(self, inplace: bool = False):
        check_not_in_place(inplace)
        super().__init__(silu)


class Mish(Activation):
    """y = x·tanh(ln(1 + e^x))."""

    def __init__(self, inplace: bool = False):
        check_not_in_place(inplace)
        super().__init__(mish)


class Sine(Activation):
    """y = sin(omega·x)."""

    def __init__(self, omega: float = 1.0):
        check_finite(omega=omega)
        super().__init__(sine, omega)


class AlongAxis(Activation):
    """An activation whose operation works along the last axis, along any axis `dim` of the input."""

    def __init__(self, op: ModuleType, dim: int, *settings: float):
        if dim != int(dim):
            raise ValueError(f"expected dim, an axis, given {dim}")
        super().__init__(op, *settings)
        self.dim = int(dim)

    def forward(self, x) -> np.ndarray:
        return self._swapped(super().forward(self._swapped(x)))

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx = super().backward(self._swapped(dy))
        return self._swapped(dx) if inputs else None

    def predict(self, x) -> np.ndarray:
        return self._swapped(super().predict(self._swapped(x)))

    def _tangent(self, v, vx):
        return self._swapped(super()._tangent(v, self._swapped(vx)))

    def _swapped(self, x):
        """x with the last axis and `dim` exchanged."""
        if self.dim == -1:
            return x
        check_floats(x)
        if not -x.ndim <= self.dim < x.ndim:
            raise ValueError(f"expected input with an axis {self.dim}, given shape {x.shape}")
        return x.swapaxes(self.dim, -1)


class Softmax(AlongAxis):
    """y_i = e^{x_i/τ} / Σ_j e^{x_j/τ} along the axis `dim`, τ = temperature > 0."""

    def __init__(self, dim: int = -1, *, temperature: float = 1.0):
        if not 0 < temperature < math.inf:
            raise ValueError(f"expected a finite temperature > 0, given {temperature}")
        super().__init__(softmax, dim, temperature)


class LogSoftmax(AlongAxis):
    """y_i = x_i − ln Σ_j e^{x_j} along the axis `dim`."""

    def __init__(self, dim: int = -1):
        super().__init__(log_softmax, dim)


class GLU(AlongAxis):
    """y = a·σ(b), where a and b are the halves of the axis `dim`: x (…, 2C) -> y (…, C)."""

    def __init__(self, dim: int = -1):
        super().__init__(glu, dim)


class PReLU(Module):
    """y = x for x > 0, a_c·x elsewhere, with learned slopes a.

    Parameters
    ----------
    num_parameters : int
        1, a slope for all elements; or C, one for each index along axis 1.
    init : float
        Initial slope.
    dtype
        float32 by default.

    Attributes
    ----------
    weight : Parameter (num_parameters,)
        The slopes. Weight decay would draw them to ReLU's: leave them out of it.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype=np.float32):
        if num_parameters != int(num_parameters) or num_parameters < 1:
            raise ValueError(f"expected a positive num_parameters, given {num_parameters}")
        check_finite(init=init)
        self.weight = Parameter(np.full(int(num_parameters), init, dtype))
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx, dweight = prelu.backward(dy, self.cache)
        if params:
            self.weight.grad += dweight
        return dx if inputs else None

    def predict(self, x) -> np.ndarray:
        return self._run(x)[0]

    def _tangent(self, v, vx):
        return prelu.jvp(zeros_if_none(vx, self.cache.x), v[self.weight], self.cache)

    def _run(self, x):
        check_floats(x)
        count = self.weight.shape[0]
        if count == 1 and x.ndim == 0:
            raise ValueError("expected an array with at least one axis, given a number")
        if count > 1 and (x.ndim < 2 or x.shape[1] != count):
            raise ValueError(f"expected input of shape (B, {count}, …), given {x.shape}")
        return prelu.forward(x, self.weight.data)

    def __repr__(self) -> str:
        return f"PReLU({self.weight.shape[0]})"


class RReLU(Module):
    """y = x for x > 0, a·x elsewhere; every element draws a slope a of its own from U(lower, upper).

    `predict` takes the mean slope (lower + upper)/2 for all.

    Parameters
    ----------
    lower, upper : float
        Bounds of the slopes.
    rng : numpy.random.Generator or None
        Source of the slopes; None draws fresh entropy.
    """

    def __init__(
        self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False, *, rng: np.random.Generator | None = None
    ):
        if not -math.inf < lower <= upper < math.inf:
            raise ValueError(f"expected finite lower <= upper, given {lower} and {upper}")
        check_not_in_place(inplace)
        self.lower, self.upper = lower, upper
        self.rng = rng or np.random.default_rng()
        self._cache = None

    def forward(self, x) -> np.ndarray:
        check_floats(x)
        slopes = self.lower + (self.upper - self.lower) * self.rng.random(x.shape, np.float32)
        y, self._cache = rrelu.forward(x, array_module(x).asarray(slopes, x.dtype))
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx = rrelu.backward(dy, self.cache)
        return dx if inputs else None

    def predict(self, x) -> np.ndarray:
        check_floats(x)
        return leaky_relu.forward(x, (self.lower + self.upper) / 2)[0]

    def _tangent(self, v, vx):
        return rrelu.jvp(vx, self.cache)

    def __repr__(self) -> str:
        return f"RReLU({self.lower:g}, {self.upper:g})"


def check_finite(**setting: float) -> None:
    """Raise ValueError, with its name, for a setting that is NaN or infinite."""
    for name, value in setting.items():
        if not math.isfinite(value):
            raise ValueError(f"expected a finite {name}, given {value}")


def check_not_in_place(inplace: bool) -> None:
    """Raise ValueError for PyTorch's inplace=True: layers never write to their inputs."""
    if inplace is not False:
        raise ValueError(f"expected inplace=False, since layers never write to their inputs, given {inplace}")
