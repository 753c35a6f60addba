"""Normalisation layers that take each row by itself. Those over the batch are in `batch_normalization`.

All can do without scale and shift: then `weight` and `bias` are None, and the layer has no parameters.
"""

import math

import numpy as np

from deepnp.backend import array_module
from deepnp.module import Module
from deepnp.ops.normalization import group_norm, layer_norm, rms_norm
from deepnp.parameters import Parameter

__all__ = ["GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "LayerNorm", "RMSNorm"]

LETTERS = {2: "(B, C)", 3: "(B, C, L)", 4: "(B, C, H, W)"}


class LayerNorm(Module):
    """Normalise the last axis to mean 0 and variance 1, then scale and shift.

    Parameters
    ----------
    num_features : int
        Size C of the last axis.
    eps : float
        Added to the variance, inside the root.
    elementwise_affine : bool
        Whether there are γ and β.

    Attributes
    ----------
    weight, bias : Parameter (C,) or None
        γ, at first ones, and β, at first zeros.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, elementwise_affine: bool = True, dtype=np.float32):
        check_size_and_eps(num_features, eps)
        self.num_features, self.eps = num_features, eps
        self.weight, self.bias = affine_parameters(num_features, elementwise_affine, dtype)
        self._cache = None

    def forward(self, x):
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        dx, *gradients = layer_norm.backward(dy, self._cache)
        if params:
            add_gradients(self, *gradients)
        return dx if inputs else None

    def predict(self, x):
        return self._run(x)[0]

    def _run(self, x):
        check_last_axis(x, self.num_features)
        return layer_norm.forward(x, *scale_and_shift(self, x, self.num_features), self.eps)

    def __repr__(self) -> str:
        return f"LayerNorm({self.num_features})"


class RMSNorm(Module):
    """Divide the last axis by its root mean square, then scale.

    Parameters
    ----------
    num_features : int
        Size C of the last axis.
    eps : float or None
        Added to the mean square, inside the root; None takes the machine epsilon of the input's dtype, as PyTorch does.
    elementwise_affine : bool
        Whether there is a γ.

    Attributes
    ----------
    weight : Parameter (C,) or None
        γ, at first ones.
    """

    def __init__(self, num_features: int, eps: float | None = None, elementwise_affine: bool = True, dtype=np.float32):
        check_size_and_eps(num_features, 1.0 if eps is None else eps)
        self.num_features, self.eps = num_features, eps
        self.weight = Parameter(np.ones(num_features, dtype)) if elementwise_affine else None
        self._cache = None

    def forward(self, x):
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        dx, dgamma = rms_norm.backward(dy, self._cache)
        if params and self.weight is not None:
            self.weight.grad += dgamma
        return dx if inputs else None

    def predict(self, x):
        return self._run(x)[0]

    def _run(self, x):
        check_last_axis(x, self.num_features)
        gamma = array_module(x).ones(self.num_features, x.dtype) if self.weight is None else self.weight.data
        return rms_norm.forward(x, gamma, float(np.finfo(x.dtype).eps) if self.eps is None else self.eps)

    def __repr__(self) -> str:
        return f"RMSNorm({self.num_features})"


class GroupNorm(Module):
    """Normalise each row within groups of neighbouring channels, over all places of a group, then scale and shift each channel.

    Parameters
    ----------
    num_groups : int
        G, a divisor of num_channels.
    num_channels : int
        Size C of axis 1. The input is (B, C) or (B, C, …).
    eps : float
        Added to the variance, inside the root.
    affine : bool
        Whether there are γ and β.
    ndim : int or None
        How many axes the input must have; None takes any number from 2.

    Attributes
    ----------
    weight, bias : Parameter (C,) or None
        γ, at first ones, and β, at first zeros.

    Raises
    ------
    ValueError
        At the first call, if a group holds a single value: it would be β whatever the input.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        ndim: int | None = None,
        dtype=np.float32,
    ):
        check_size_and_eps(num_channels, eps, "num_channels")
        if num_groups != int(num_groups) or num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"expected num_groups that divide {num_channels} channels, given {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.ndim = num_groups, num_channels, eps, ndim
        self.weight, self.bias = affine_parameters(num_channels, affine, dtype)
        self._cache = None

    def forward(self, x):
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        dx, *gradients = group_norm.backward(dy, self._cache)
        if params:
            add_gradients(self, *gradients)
        return dx if inputs else None

    def predict(self, x):
        return self._run(x)[0]

    def _run(self, x):
        check_channels(x, self.num_channels, (self.ndim,) if self.ndim else None)
        if math.prod(x.shape[1:]) // self.num_groups < 2:
            raise ValueError(f"expected at least 2 values in each of {self.num_groups} groups, given input of shape {x.shape}")
        return group_norm.forward(x, *scale_and_shift(self, x, self.num_channels), self.num_groups, self.eps)

    def __repr__(self) -> str:
        return f"GroupNorm({self.num_groups}, {self.num_channels})"


def InstanceNorm1d(num_features: int, eps: float = 1e-5, affine: bool = False, dtype=np.float32) -> GroupNorm:
    """Normalise each channel of each row along its length: (B, C, L), with as many groups as channels. No running statistics."""
    return GroupNorm(num_features, num_features, eps, affine, 3, dtype)


def InstanceNorm2d(num_features: int, eps: float = 1e-5, affine: bool = False, dtype=np.float32) -> GroupNorm:
    """Normalise each channel of each image: (B, C, H, W), with as many groups as channels. No running statistics."""
    return GroupNorm(num_features, num_features, eps, affine, 4, dtype)


def affine_parameters(size: int, wanted: bool, dtype) -> tuple[Parameter | None, Parameter | None]:
    """γ, ones, and β, zeros, of shape (size,); or None and None."""
    return (Parameter(np.ones(size, dtype)), Parameter(np.zeros(size, dtype))) if wanted else (None, None)


def scale_and_shift(layer, x, size: int) -> tuple:
    """The layer's γ and β, of shape (size,), or ones and zeros of x's dtype where it has none."""
    if layer.weight is not None:
        return layer.weight.data, layer.bias.data
    xp = array_module(x)
    return xp.ones(size, x.dtype), xp.zeros(size, x.dtype)


def add_gradients(layer, dgamma, dbeta) -> None:
    """Add to the gradients of the layer's γ and β, where it has them."""
    if layer.weight is not None:
        layer.weight.grad += dgamma
        layer.bias.grad += dbeta


def check_size_and_eps(size: int, eps: float, name: str = "num_features") -> None:
    """Raise ValueError unless size is a positive integer and eps is positive."""
    if size != int(size) or size < 1 or not eps > 0:
        raise ValueError(f"expected {name} >= 1 and eps > 0, given {size} and {eps}")


def check_last_axis(x, size: int) -> None:
    """Raise ValueError unless x is (…, size)."""
    if x.ndim == 0 or x.shape[-1] != size:
        raise ValueError(f"expected input of shape (…, {size}), given {x.shape}")


def check_channels(x, channels: int, ndims: tuple[int, ...] | None) -> None:
    """Raise ValueError unless axis 1 of x has `channels` and x has one of `ndims` axes, or any number from 2."""
    if x.ndim < 2 or x.shape[1] != channels or (ndims and x.ndim not in ndims):
        shapes = " or ".join(LETTERS[n] for n in ndims) if ndims else "(B, C, …)"
        raise ValueError(f"expected input of shape {shapes} with C = {channels}, given {x.shape}")
