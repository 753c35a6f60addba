"""Normalisation layers."""

import numpy as np

from deepnp.module import Module
from deepnp.ops.normalization import layer_norm
from deepnp.parameters import Parameter


class LayerNorm(Module):
    """Normalise the last axis to mean 0 and variance 1, then scale and shift.

    Parameters
    ----------
    num_features : int
        Size C of the last axis.
    eps : float
        Added to the variance, inside the root.

    Attributes
    ----------
    weight, bias : Parameter (C,)
        γ, at first ones, and β, at first zeros.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, dtype=np.float32):
        if num_features < 1 or not eps > 0:
            raise ValueError(f"expected num_features >= 1 and eps > 0, given {num_features} and {eps}")
        self.weight = Parameter(np.ones(num_features, dtype))
        self.bias = Parameter(np.zeros(num_features, dtype))
        self.eps = eps
        self._cache = None

    def forward(self, x):
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        dx, dgamma, dbeta = layer_norm.backward(dy, self._cache)
        if params:
            self.weight.grad += dgamma
            self.bias.grad += dbeta
        return dx if inputs else None

    def predict(self, x):
        return self._run(x)[0]

    def _run(self, x):
        if x.ndim == 0 or x.shape[-1:] != self.weight.shape:
            raise ValueError(f"expected input of shape (…, {self.weight.shape[0]}), given {x.shape}")
        return layer_norm.forward(x, self.weight.data, self.bias.data, self.eps)

    def __repr__(self) -> str:
        return f"LayerNorm({self.weight.shape[0]})"
