"""Layers that give values another shape."""

import math
from typing import NamedTuple

import numpy as np

from deepnp.checks import check_array, check_tangent, check_upstream
from deepnp.module import Module
from deepnp.ops.convolution import Sizes

__all__ = ["Flatten", "Reshape"]


class Shapes(NamedTuple):
    """What these layers keep: the shapes of x and of y."""

    x: tuple[int, ...]
    y: tuple[int, ...]


class Flatten(Module):
    """All axes from `start_dim` on as one: (B, C, H, W) -> (B, C·H·W).

    Parameters
    ----------
    start_dim : int
        At least 0; 1 keeps the samples apart.
    """

    def __init__(self, start_dim: int = 1):
        if start_dim != int(start_dim) or start_dim < 0:
            raise ValueError(f"expected start_dim >= 0, given {start_dim}")
        self.start_dim = start_dim
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y = self.predict(x)
        self._cache = Shapes(x.shape, y.shape)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        check_upstream(dy, self.cache.y)
        return dy.reshape(self.cache.x) if inputs else None

    def predict(self, x) -> np.ndarray:
        check_array(x)
        if x.ndim <= self.start_dim:
            raise ValueError(f"expected an input of more than {self.start_dim} axes, given shape {x.shape}")
        return x.reshape(*x.shape[: self.start_dim], math.prod(x.shape[self.start_dim :]))

    def _tangent(self, v, vx):
        check_tangent(vx, self.cache.x)
        return vx.reshape(self.cache.y)

    def __repr__(self) -> str:
        return f"Flatten({self.start_dim})"


class Reshape(Module):
    """Each sample in another shape: (B, …) -> (B, *shape).

    Parameters
    ----------
    shape : tuple of int
        Of one sample, whole.
    """

    def __init__(self, shape: Sizes):
        if not all(isinstance(n, int | np.integer) and n >= 1 for n in shape):
            raise ValueError(f"expected a shape of positive sizes, given {shape}")
        self.shape = tuple(shape)
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y = self.predict(x)
        self._cache = Shapes(x.shape, y.shape)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        check_upstream(dy, self.cache.y)
        return dy.reshape(self.cache.x) if inputs else None

    def predict(self, x) -> np.ndarray:
        check_array(x)
        if x.ndim == 0 or math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ValueError(f"expected samples of {math.prod(self.shape)} values for {self.shape}, given input of shape {x.shape}")
        return x.reshape(x.shape[0], *self.shape)

    def _tangent(self, v, vx):
        check_tangent(vx, self.cache.x)
        return vx.reshape(self.cache.y)

    def __repr__(self) -> str:
        return f"Reshape({self.shape})"
