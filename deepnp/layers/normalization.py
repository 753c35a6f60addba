"""Normalisation layers that take each row by itself. Those over the batch are in `batch_normalization`.

All can do without scale and shift: then `weight` and `bias` are None, and the layer has no parameters.
"""

import math

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats, check_upstream
from deepnp.module import Module, zeros_if_none
from deepnp.ops.normalization import group_norm, layer_norm, rms_norm
from deepnp.parameters import Parameter

__all__ = ["GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "L2Norm", "LayerNorm", "RMSNorm"]

LETTERS = {2: "(B, C)", 3: "(B, C, L)", 4: "(B, C, H, W)"}


class LayerNorm(Module):
    """Normalise the last axes to mean 0 and variance 1, then scale and shift.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        Size C of the last axis, or the sizes of the last axes, which are normalised together.
    eps : float
        Added to the variance, inside the root.
    elementwise_affine : bool
        Whether there is a γ, and a β unless `bias` is False.
    bias : bool
        Whether there is a β.
    dtype
        float32 by default.

    Attributes
    ----------
    weight, bias : Parameter of normalized_shape, or None
        γ, at first ones, and β, at first zeros.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype=np.float32,
    ):
        self.normalized_shape, self.eps = sizes_of(normalized_shape, eps), eps
        self.weight, self.bias = affine_parameters(self.normalized_shape, elementwise_affine, dtype, bias)
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y, self._cache = self._run(x)
        return y if y.shape == x.shape else y.reshape(x.shape)

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx, *gradients = layer_norm.backward(as_kept_rows(dy, self), self.cache)
        if params:
            add_gradients(self, *gradients)
        if inputs:
            return dx if dx.shape == dy.shape else dx.reshape(dy.shape)
        return None

    def predict(self, x) -> np.ndarray:
        return self._run(x)[0].reshape(x.shape)

    def _tangent(self, v, vx):
        shape = shape_of_input(self, self.cache.x)
        vx = zeros_if_none(vx, self.cache.x) if vx is None else as_kept_rows(vx, self)
        return layer_norm.jvp(vx, *vectors_of(self, v, self.cache.gamma), self.cache).reshape(shape)

    def _run(self, x):
        rows = as_rows(x, self)
        return layer_norm.forward(rows, *scale_and_shift(self, x, rows.shape[-1]), self.eps)

    def __repr__(self) -> str:
        return f"LayerNorm({written(self.normalized_shape)})"


class RMSNorm(Module):
    """Divide the last axes by their root mean square, then scale.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        Size C of the last axis, or the sizes of the last axes, which are normalised together.
    eps : float or None
        Added to the mean square, inside the root; None takes the machine epsilon of the input's dtype, as PyTorch does.
    elementwise_affine : bool
        Whether there is a γ.
    dtype
        float32 by default.

    Attributes
    ----------
    weight : Parameter of normalized_shape, or None
        γ, at first ones.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype=np.float32,
    ):
        self.normalized_shape, self.eps = sizes_of(normalized_shape, 1.0 if eps is None else eps), eps
        self.weight, _ = affine_parameters(self.normalized_shape, elementwise_affine, dtype)
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y, self._cache = self._run(x)
        return y if y.shape == x.shape else y.reshape(x.shape)

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx, dgamma = rms_norm.backward(as_kept_rows(dy, self), self.cache)
        if params and self.weight is not None:
            self.weight.grad += dgamma.reshape(self.weight.shape)
        if inputs:
            return dx if dx.shape == dy.shape else dx.reshape(dy.shape)
        return None

    def predict(self, x) -> np.ndarray:
        return self._run(x)[0].reshape(x.shape)

    def _tangent(self, v, vx):
        shape, gamma = shape_of_input(self, self.cache.x), self.cache.gamma
        vx = zeros_if_none(vx, self.cache.x) if vx is None else as_kept_rows(vx, self)
        vgamma = zeros_if_none(None, gamma) if self.weight is None else v[self.weight].ravel()
        return rms_norm.jvp(vx, vgamma, self.cache).reshape(shape)

    def _run(self, x):
        check_floats(x)
        rows = as_rows(x, self)
        gamma = array_module(x).ones(rows.shape[-1], x.dtype) if self.weight is None else self.weight.data.ravel()
        return rms_norm.forward(rows, gamma, float(np.finfo(x.dtype).eps) if self.eps is None else self.eps)

    def __repr__(self) -> str:
        return f"RMSNorm({written(self.normalized_shape)})"


class L2Norm(Module):
    """Divide each row by its length: y = x/n, n = √(Σ_c x² + ε), over the last axis.

        dn = −Σ_c dy·y/n                          n divides every x_c
        dx = dy/n + dn·y                          ∂n/∂x_c = x_c/n = y_c
           = (dy − y·Σ_c dy·y)/n                  what points along y is taken out

    n = √C·ρ with RMS normalisation's ρ = √(mean x² + ε/C). So it is that normalisation with γ = 1/√C throughout, and runs on
    its operation.

    Parameters
    ----------
    features : int
        C.
    eps : float
        ε, which keeps a row of zeros at 0, and its gradient finite.
    """

    def __init__(self, features: int, eps: float = 1e-6):
        check_size_and_eps(features, eps, "features")
        self.features, self.eps = features, eps
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx, _ = rms_norm.backward(dy, self.cache)
        return dx if inputs else None

    def predict(self, x) -> np.ndarray:
        return self._run(x)[0]

    def _tangent(self, v, vx):
        return rms_norm.jvp(zeros_if_none(vx, self.cache.x), zeros_if_none(None, self.cache.gamma), self.cache)

    def _run(self, x):
        check_floats(x)
        if x.shape[-1:] != (self.features,):
            raise ValueError(f"expected input of shape (…, {self.features}), given {x.shape}")
        gamma = array_module(x).full(self.features, 1 / math.sqrt(self.features), x.dtype)
        return rms_norm.forward(x, gamma, self.eps / self.features)

    def __repr__(self) -> str:
        return f"L2Norm({self.features})"


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
        *,
        ndim: int | None = None,
        dtype=np.float32,
    ):
        check_size_and_eps(num_channels, eps, "num_channels")
        if num_groups != int(num_groups) or num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"expected num_groups that divide {num_channels} channels, given {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.ndim = num_groups, num_channels, eps, ndim
        self.weight, self.bias = affine_parameters((num_channels,), affine, dtype)
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx, *gradients = group_norm.backward(dy, self.cache)
        if params:
            add_gradients(self, *gradients)
        return dx if inputs else None

    def predict(self, x) -> np.ndarray:
        return self._run(x)[0]

    def _tangent(self, v, vx):
        return group_norm.jvp(zeros_if_none(vx, self.cache.x), *vectors_of(self, v, self.cache.gamma), self.cache)

    def _run(self, x):
        check_channels(x, self.num_channels, (self.ndim,) if self.ndim else None)
        if math.prod(x.shape[1:]) // self.num_groups < 2:
            raise ValueError(f"expected at least 2 values in each of {self.num_groups} groups, given input of shape {x.shape}")
        return group_norm.forward(x, *scale_and_shift(self, x, self.num_channels), self.num_groups, self.eps)

    def __repr__(self) -> str:
        return f"GroupNorm({self.num_groups}, {self.num_channels})"


class InstanceNorm1d(GroupNorm):
    """Normalise each channel of each row along its length: (B, C, L), with as many groups as channels. No running statistics."""

    def __init__(self, num_features: int, eps: float = 1e-5, *, affine: bool = False, dtype=np.float32):
        super().__init__(num_features, num_features, eps, affine, ndim=3, dtype=dtype)


class InstanceNorm2d(GroupNorm):
    """Normalise each channel of each image: (B, C, H, W), with as many groups as channels. No running statistics."""

    def __init__(self, num_features: int, eps: float = 1e-5, *, affine: bool = False, dtype=np.float32):
        super().__init__(num_features, num_features, eps, affine, ndim=4, dtype=dtype)


def affine_parameters(shape: tuple[int, ...], wanted: bool, dtype, shift: bool = True) -> tuple[Parameter | None, Parameter | None]:
    """γ, ones, and β, zeros, of this shape; None for what is not wanted."""
    gamma = Parameter(np.ones(shape, dtype)) if wanted else None
    return gamma, Parameter(np.zeros(shape, dtype)) if wanted and shift else None


def scale_and_shift(layer, x, size: int) -> tuple:
    """The layer's γ and β as vectors (size,); ones and zeros of x's dtype for what it has not."""
    gamma, beta = layer.weight, layer.bias
    return (
        array_module(x).ones(size, x.dtype) if gamma is None else as_vector(gamma.data),
        array_module(x).zeros(size, x.dtype) if beta is None else as_vector(beta.data),
    )


def as_vector(parameter) -> np.ndarray:
    return parameter if parameter.ndim == 1 else parameter.ravel()


def add_gradients(layer, dgamma, dbeta) -> None:
    """Add to the gradients of the layer's γ and β, where it has them."""
    if layer.weight is not None:
        layer.weight.grad += dgamma.reshape(layer.weight.shape)
    if layer.bias is not None:
        layer.bias.grad += dbeta.reshape(layer.bias.shape)


def vectors_of(layer, v, gamma) -> tuple:
    """The tangents of γ and β as vectors; zeros, shaped as gamma (C,), for what the layer has not."""
    return tuple(zeros_if_none(None if p is None else v[p].reshape(gamma.shape), gamma) for p in (layer.weight, layer.bias))


def check_size_and_eps(size: int, eps: float, name: str = "num_features") -> None:
    """Raise ValueError unless size is a positive integer and eps is positive."""
    if size != int(size) or size < 1 or not eps > 0:
        raise ValueError(f"expected {name} >= 1 and eps > 0, given {size} and {eps}")


def sizes_of(shape: int | tuple[int, ...], eps: float) -> tuple[int, ...]:
    """The normalised shape as a tuple; ValueError unless there are sizes, all positive, and eps is positive."""
    sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if not sizes:
        raise ValueError(f"expected a normalized_shape of at least one axis, given {shape}")
    for size in sizes:
        check_size_and_eps(size, eps, "normalized_shape")
    return tuple(map(int, sizes))


def written(sizes: tuple[int, ...]) -> str:
    return str(sizes[0] if len(sizes) == 1 else sizes)


def as_rows(x, layer) -> np.ndarray:
    """x (…, *normalized_shape) as (…, C); ValueError for another shape, TypeError for what is no array of floats."""
    sizes = layer.normalized_shape
    if getattr(x, "shape", ())[-len(sizes) :] != sizes:
        check_floats(x)
        raise ValueError(f"expected input of shape (…, {', '.join(map(str, sizes))}), given {x.shape}")
    return x if len(sizes) == 1 else x.reshape(*x.shape[: -len(sizes)], math.prod(sizes))


def as_kept_rows(x, layer) -> np.ndarray:
    """The same of an upstream gradient or a tangent, whose shape is that of the last x. One axis is left to the operation."""
    if len(layer.normalized_shape) == 1:
        return x
    check_upstream(x, shape_of_input(layer, layer.cache.x))
    return x.reshape(layer.cache.x.shape)


def shape_of_input(layer, rows) -> tuple[int, ...]:
    """The shape of the x that `as_rows` made into rows (…, C)."""
    return (*rows.shape[:-1], *layer.normalized_shape)


def check_channels(x, channels: int, ndims: tuple[int, ...] | None) -> None:
    """Raise ValueError unless axis 1 of x has `channels` and x has one of `ndims` axes, or any number from 2."""
    check_floats(x)
    if x.ndim < 2 or x.shape[1] != channels or (ndims and x.ndim not in ndims):
        shapes = " or ".join(LETTERS[n] for n in ndims) if ndims else "(B, C, …)"
        raise ValueError(f"expected input of shape {shapes} with C = {channels}, given {x.shape}")
