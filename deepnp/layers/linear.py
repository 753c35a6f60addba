"""Linear layers: `Linear`, and its fusion with a following activation."""

from collections.abc import Sequence

import numpy as np

from deepnp.backend import array_module
from deepnp.initializers import Initializer, kaiming_uniform, zeros
from deepnp.layers.activation import Activation
from deepnp.module import Module
from deepnp.ops import dense, linear
from deepnp.ops.activation import relu, sigmoid, tanh
from deepnp.parameters import Parameter

FUSED = (tanh, relu, sigmoid)  # activations that offer add_bias and backward_bias


class Linear(Module):
    """y = x Wᵀ + b.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis of x and of y.
    weight, bias : Initializer
        Called as `initializer(shape, rng)`; Kaiming-uniform for ReLU and zeros by default.
    rng : numpy.random.Generator or None
        Source of the initial weights; None draws fresh entropy.
    dtype
        float32 by default.

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
    bias : Parameter (out_features,)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        weight: Initializer = kaiming_uniform,
        bias: Initializer = zeros,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if size != int(size) or size < 1:
                raise ValueError(f"expected a positive {name}, given {size}")
        rng = rng or np.random.default_rng()
        self.weight = Parameter(weight((out_features, in_features), rng).astype(dtype))
        self.bias = Parameter(bias((out_features,), rng).astype(dtype))
        self._cache = None

    def forward(self, x):
        check_features(x, self.weight)
        y, self._cache = linear.forward(x, self.weight.data, self.bias.data)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        if params:
            dweight, dbias = linear.backward_parameters(dy, self._cache)
            self.weight.grad += dweight
            self.bias.grad += dbias
        return linear.backward_input(dy, self._cache) if inputs else None

    def predict(self, x):
        check_features(x, self.weight)
        return linear.forward(x, self.weight.data, self.bias.data)[0]

    def __repr__(self) -> str:
        return f"Linear({self.weight.shape[1]}, {self.weight.shape[0]})"


class Dense(Module):
    """A `Linear` and the activation after it as one operation, over the `Linear`'s own parameters.

    `Sequential` builds these; there is no need to write one.
    """

    def __init__(self, linear: Linear, activation: Activation):
        self.linear = linear
        self.activation = activation
        self._cache = None

    def forward(self, x):
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        rows, shape, weight, _, _ = self._cache
        dz, dbias = dense.backward_activation(dy, self._cache)
        if params:
            self.linear.weight.grad += array_module(dz).matmul(dz.T, rows)
            self.linear.bias.grad += dbias
        return (dz @ weight).reshape(shape) if inputs else None

    def predict(self, x):
        return self._run(x)[0]

    def _run(self, x):
        check_features(x, self.linear.weight)
        return dense.forward(x, self.linear.weight.data, self.linear.bias.data, self.activation.op)


def fuse(modules: Sequence[Module]) -> list[Module]:
    """The same modules, with each `Linear` and fusable `Activation` that follow one another as one `Dense`."""
    steps: list[Module] = []
    for module in modules:
        fusable = isinstance(module, Activation) and module.op in FUSED
        if fusable and steps and isinstance(steps[-1], Linear):
            module = Dense(steps.pop(), module)
        steps.append(module)
    return steps


def check_features(x, weight: Parameter) -> None:
    """Raise ValueError unless x's last axis fits the weight (O, I)."""
    if x.ndim == 0 or x.shape[-1] != weight.data.shape[1]:
        raise ValueError(f"expected input of shape (…, {weight.data.shape[1]}), given {x.shape}")
