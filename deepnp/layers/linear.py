"""The linear layer."""

import numpy as np

from deepnp.checks import check_floats
from deepnp.initializers import Initializer, kaiming_uniform, zeros
from deepnp.module import Module, zeros_if_none
from deepnp.ops import linear
from deepnp.parameters import Parameter

__all__ = ["Linear"]


class Linear(Module):
    """y = x Wᵀ + b.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis of x and of y.
    bias : bool or Initializer
        Whether there is a b, or what it is at first; zeros by default.
    weight : Initializer
        Called as `initializer(shape, rng)`; Kaiming-uniform for ReLU by default.
    rng : numpy.random.Generator or None
        Source of the initial weights; None draws fresh entropy.
    dtype
        float32 by default.

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
    bias : Parameter (out_features,) or None

    Raises
    ------
    ValueError
        If a size is not a positive integer; in `forward` for x that is not (…, in_features).
    TypeError
        In `forward`, for x that is no array of floating-point numbers.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool | Initializer = True,
        *,
        weight: Initializer = kaiming_uniform,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if size != int(size) or size < 1:
                raise ValueError(f"expected a positive {name}, given {size}")
        rng = rng or np.random.default_rng()
        self.weight = Parameter(weight((out_features, in_features), rng).astype(dtype))
        initial = zeros if bias is True else bias
        self.bias = Parameter(initial((out_features,), rng).astype(dtype)) if initial else None
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        if not params:
            return linear.backward_input(dy, self.cache) if inputs else None
        dx, dweight, dbias = linear.backward(dy, self.cache) if inputs else (None, *linear.backward_parameters(dy, self.cache))
        self.weight.grad += dweight
        if self.bias is not None:
            self.bias.grad += dbias
        return dx

    def predict(self, x) -> np.ndarray:
        return self._run(x)[0]

    def _tangent(self, v, vx):
        vweight = v[self.weight]
        vbias = zeros_if_none(None, vweight[:, 0]) if self.bias is None else v[self.bias]
        return linear.jvp(zeros_if_none(vx, self.cache.x), vweight, vbias, self.cache)

    def _run(self, x):
        weight = self.weight.data
        check_floats(x)
        if x.shape[-1:] != weight.shape[1:]:
            raise ValueError(f"expected input of shape (…, {weight.shape[1]}), given {x.shape}")
        return linear.forward(x, weight, None if self.bias is None else self.bias.data)

    def __repr__(self) -> str:
        outputs, inputs = self.weight.shape
        return f"Linear({inputs}, {outputs})" if self.bias is not None else f"Linear({inputs}, {outputs}, bias=False)"
