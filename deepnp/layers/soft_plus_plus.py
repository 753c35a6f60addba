"""Soft++ as a module: an activation with two learned shapes."""

import numpy as np

from deepnp.checks import check_floats
from deepnp.module import Module, zeros_if_none
from deepnp.ops.activation import soft_plus_plus
from deepnp.parameters import Parameter

__all__ = ["SoftPlusPlus"]


class SoftPlusPlus(Module):
    """y = ln(1 + e^{kx}) + x/c − ln 2, with learned k and c (Ciuparu et al. 2020).

    Parameters
    ----------
    num_parameters : int
        1, a k and a c for all elements; or C, one of each for each index along axis 1.
    k : float
        Initial sharpness.
    c : float
        Initial c: the slope far to the left is 1/c. It must not be 0, and learning should keep it from there.
    dtype
        float32 by default.

    Attributes
    ----------
    k, c : Parameter (num_parameters,)
        Weight decay would draw c to 0, where 1/c is infinite: leave both out of it.

    Raises
    ------
    ValueError
        If `num_parameters` is no positive integer, k or c are not finite, or c is 0.
    """

    def __init__(self, num_parameters: int = 1, k: float = 1.0, c: float = 2.0, *, dtype=np.float32):
        if num_parameters != int(num_parameters) or num_parameters < 1:
            raise ValueError(f"expected a positive num_parameters, given {num_parameters}")
        if not (np.isfinite(k) and np.isfinite(c) and c != 0):
            raise ValueError(f"expected a finite k, and a finite c that is not 0, given {k} and {c}")
        count = int(num_parameters)
        self.k, self.c = Parameter(np.full(count, k, dtype)), Parameter(np.full(count, c, dtype))
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx, dk, dc = soft_plus_plus.backward(dy, self.cache)
        if params:
            self.k.grad += dk
            self.c.grad += dc
        return dx if inputs else None

    def predict(self, x) -> np.ndarray:
        return self._run(x)[0]

    def _tangent(self, v, vx):
        return soft_plus_plus.jvp(zeros_if_none(vx, self.cache.x), v[self.k], v[self.c], self.cache)

    def _run(self, x):
        check_floats(x)
        count = self.k.shape[0]
        if x.ndim == 0 or (count > 1 and (x.ndim < 2 or x.shape[1] != count)):
            expected = f"shape (B, {count}, …)" if count > 1 else "at least one axis"
            raise ValueError(f"expected input of {expected}, given shape {x.shape}")
        return soft_plus_plus.forward(x, self.k.data, self.c.data)

    def __repr__(self) -> str:
        return f"SoftPlusPlus({self.k.shape[0]})"
