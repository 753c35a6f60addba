"""The linear layer."""

import numpy as np

from deepnp.initializers import Initializer, kaiming_uniform, zeros
from deepnp.module import Module
from deepnp.ops import linear
from deepnp.parameters import Parameter

__all__ = ["Linear"]


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


def check_features(x, weight: Parameter) -> None:
    """Raise ValueError unless x's last axis fits the weight (O, I)."""
    if x.ndim == 0 or x.shape[-1] != weight.data.shape[1]:
        raise ValueError(f"expected input of shape (…, {weight.data.shape[1]}), given {x.shape}")
