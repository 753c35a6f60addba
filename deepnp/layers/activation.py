"""Activations as modules: one class over the operations of `deepnp.ops.activation`."""

from types import ModuleType

from deepnp.module import Module
from deepnp.ops.activation import relu, sigmoid, softmax, softplus, tanh


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
        return f"{self.op.__name__.rsplit('.', 1)[-1]}{self.settings or '()'}"


def Tanh() -> Activation:
    """y = tanh x."""
    return Activation(tanh)


def ReLU() -> Activation:
    """y = max(x, 0)."""
    return Activation(relu)


def Sigmoid() -> Activation:
    """y = 1/(1 + e^−x)."""
    return Activation(sigmoid)


def Softplus(beta: float = 1.0, scale: float = 1.0) -> Activation:
    """y = (scale/beta)·ln(1 + e^{beta·x}); both must be positive."""
    if not beta > 0 or not scale > 0:
        raise ValueError(f"expected beta > 0 and scale > 0, given beta={beta}, scale={scale}")
    return Activation(softplus, beta, scale)


def Softmax(temperature: float = 1.0) -> Activation:
    """y_i = e^{x_i/τ} / Σ_j e^{x_j/τ} over the last axis, τ = temperature > 0."""
    if not temperature > 0:
        raise ValueError(f"expected temperature > 0, given {temperature}")
    return Activation(softmax, temperature)
