"""Activations as modules: one class over the operations of `deepnp.ops.activation`, and those that need more than that."""

import math
from types import ModuleType

import numpy as np

from deepnp.backend import array_module
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

    def forward(self, x):
        y, self._cache = self.op.forward(x, *self.settings)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        return self.op.backward(dy, self._cache) if inputs else None

    def predict(self, x):
        return self.op.forward(x, *self.settings)[0]

    def __repr__(self) -> str:
        return f"{self.op.__name__.rsplit('.', 1)[-1]}({', '.join(map(str, self.settings))})"


def Tanh() -> Activation:
    """y = tanh x."""
    return Activation(tanh)


def ReLU() -> Activation:
    """y = max(x, 0)."""
    return Activation(relu)


def LeakyReLU(negative_slope: float = 0.01) -> Activation:
    """y = x for x > 0, negative_slope·x elsewhere."""
    check_finite(negative_slope=negative_slope)
    return Activation(leaky_relu, negative_slope)


def ELU(alpha: float = 1.0) -> Activation:
    """y = x for x > 0, alpha·(e^x − 1) elsewhere; alpha must not be negative."""
    if not 0 <= alpha < math.inf:
        raise ValueError(f"expected a finite alpha >= 0, given {alpha}")
    return Activation(elu, alpha)


def SELU() -> Activation:
    """y = λx for x > 0, λα(e^x − 1) elsewhere, with the α and λ that keep mean 0 and variance 1."""
    return Activation(selu)


def Hardtanh(min_val: float = -1.0, max_val: float = 1.0) -> Activation:
    """y = x between min_val and max_val, and the nearer of the two beyond."""
    if not min_val < max_val:
        raise ValueError(f"expected min_val < max_val, given {min_val} and {max_val}")
    return Activation(hard_tanh, min_val, max_val)


def Sigmoid() -> Activation:
    """y = 1/(1 + e^−x)."""
    return Activation(sigmoid)


def Softplus(beta: float = 1.0, scale: float = 1.0) -> Activation:
    """y = (scale/beta)·ln(1 + e^{beta·x}); both must be positive."""
    if not beta > 0 or not scale > 0:
        raise ValueError(f"expected beta > 0 and scale > 0, given beta={beta}, scale={scale}")
    return Activation(softplus, beta, scale)


def GELU(approximate: str = "none") -> Activation:
    """y = x·Φ(x), Φ the standard normal's distribution function; approximate="tanh" takes ½(1 + tanh …) for it."""
    forms = {"none": gelu, "tanh": gelu_tanh}
    if approximate not in forms:
        raise ValueError(f'expected approximate "none" or "tanh", given {approximate!r}')
    return Activation(forms[approximate])


def SiLU() -> Activation:
    """y = x·σ(x)."""
    return Activation(silu)


def Mish() -> Activation:
    """y = x·tanh(ln(1 + e^x))."""
    return Activation(mish)


def Sine(omega: float = 1.0) -> Activation:
    """y = sin(omega·x)."""
    check_finite(omega=omega)
    return Activation(sine, omega)


def Softmax(temperature: float = 1.0) -> Activation:
    """y_i = e^{x_i/τ} / Σ_j e^{x_j/τ} over the last axis, τ = temperature > 0."""
    if not temperature > 0:
        raise ValueError(f"expected temperature > 0, given {temperature}")
    return Activation(softmax, temperature)


def LogSoftmax() -> Activation:
    """y_i = x_i − ln Σ_j e^{x_j} over the last axis."""
    return Activation(log_softmax)


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

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype=np.float32):
        if num_parameters != int(num_parameters) or num_parameters < 1:
            raise ValueError(f"expected a positive num_parameters, given {num_parameters}")
        check_finite(init=init)
        self.weight = Parameter(np.full(int(num_parameters), init, dtype))
        self._cache = None

    def forward(self, x):
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        dx, dweight = prelu.backward(dy, self._cache)
        if params:
            self.weight.grad += dweight
        return dx if inputs else None

    def predict(self, x):
        return self._run(x)[0]

    def _run(self, x):
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

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, rng: np.random.Generator | None = None):
        if not -math.inf < lower <= upper < math.inf:
            raise ValueError(f"expected finite lower <= upper, given {lower} and {upper}")
        self.lower, self.upper = lower, upper
        self.rng = rng or np.random.default_rng()
        self._cache = None

    def forward(self, x):
        slopes = self.lower + (self.upper - self.lower) * self.rng.random(x.shape, np.float32)
        y, self._cache = rrelu.forward(x, array_module(x).asarray(slopes, x.dtype))
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        return rrelu.backward(dy, self._cache) if inputs else None

    def predict(self, x):
        return leaky_relu.forward(x, (self.lower + self.upper) / 2)[0]

    def __repr__(self) -> str:
        return f"RReLU({self.lower:g}, {self.upper:g})"


class GLU(Module):
    """y = a·σ(b), where a and b are the halves of the last axis: x (…, 2C) -> y (…, C)."""

    def __init__(self):
        self._cache = None

    def forward(self, x):
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        return glu.backward(dy, self._cache) if inputs else None

    def predict(self, x):
        return self._run(x)[0]

    def _run(self, x):
        if x.ndim == 0 or x.shape[-1] % 2:
            raise ValueError(f"expected input of shape (…, 2C), an even last axis, given {x.shape}")
        return glu.forward(x)

    def __repr__(self) -> str:
        return "GLU()"


def check_finite(**setting: float) -> None:
    """Raise ValueError, with its name, for a setting that is NaN or infinite."""
    for name, value in setting.items():
        if not math.isfinite(value):
            raise ValueError(f"expected a finite {name}, given {value}")
