"""Normalisation layers.

All can do without scale and shift: then `weight` and `bias` are None, and the layer has no parameters.
"""

import math

import numpy as np

from deepnp.backend import array_module
from deepnp.module import Module
from deepnp.ops.normalization import batch_norm, batch_renorm, group_norm, layer_norm, rms_norm
from deepnp.parameters import Buffer, Parameter

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


class BatchNorm(Module):
    """Normalise each channel over the batch and all places, then scale and shift. `BatchNorm1d` and `BatchNorm2d` build it.

    `forward` takes the batch's statistics and moves the running ones towards them; `predict` takes the running ones.
    A batch of one value for each channel has no variance to speak of: it moves only the running mean. An empty one moves nothing.

    Parameters
    ----------
    num_features : int
        Size C of axis 1.
    eps : float
        Added to the variance, inside the root.
    momentum : float
        Share of the running statistics that is *kept*, in [0, 1): the thesis's meaning. PyTorch's momentum is 1 − this.
    affine : bool
        Whether there are γ and β.
    ndims : tuple of int
        How many axes the input may have.

    Attributes
    ----------
    weight, bias : Parameter (C,) or None
        γ, at first ones, and β, at first zeros.
    running_mean, running_var : Buffer (C,)
        At first zeros and ones. The running variance is the unbiased one (÷ (m − 1)); the batch normalises itself with ÷ m.
    num_batches_tracked : Buffer ()
        Batches seen, an integer.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.9,
        affine: bool = True,
        ndims: tuple[int, ...] = (2, 3),
        dtype=np.float32,
    ):
        check_size_and_eps(num_features, eps)
        check_momentum(momentum)
        self.num_features, self.eps, self.momentum, self.ndims = num_features, eps, momentum, ndims
        self.weight, self.bias = affine_parameters(num_features, affine, dtype)
        self.running_mean, self.running_var, self.num_batches_tracked = running_statistics(num_features, dtype)
        self._cache = None

    def forward(self, x):
        check_channels(x, self.num_features, self.ndims)
        y, self._cache = batch_norm.forward(x, *scale_and_shift(self, x, self.num_features), self.eps)
        track(self, *batch_norm.batch_moments(self._cache), x.size // self.num_features)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        dx, *gradients = batch_norm.backward(dy, self._cache)
        if params:
            add_gradients(self, *gradients)
        return dx if inputs else None

    def predict(self, x):
        check_channels(x, self.num_features, self.ndims)
        return batch_norm.infer(x, *scale_and_shift(self, x, self.num_features), self.running_mean.data, self.running_var.data, self.eps)

    def __repr__(self) -> str:
        return f"BatchNorm{max(self.ndims) - 2}d({self.num_features})"


def BatchNorm1d(
    num_features: int, eps: float = 1e-5, momentum: float = 0.9, affine: bool = True, dtype=np.float32
) -> BatchNorm:
    """`BatchNorm` of (B, C) or (B, C, L). `momentum` is the share *kept*: PyTorch's 0.1 is our 0.9."""
    return BatchNorm(num_features, eps, momentum, affine, (2, 3), dtype)


def BatchNorm2d(
    num_features: int, eps: float = 1e-5, momentum: float = 0.9, affine: bool = True, dtype=np.float32
) -> BatchNorm:
    """`BatchNorm` of (B, C, H, W). `momentum` is the share *kept*: PyTorch's 0.1 is our 0.9."""
    return BatchNorm(num_features, eps, momentum, affine, (4,), dtype)


class BatchRenorm1d(Module):
    """Batch normalisation whose training pass is corrected towards the running statistics (Ioffe 2017), of (B, C) or (B, C, L).

    Where r and d are inside their limits, `forward` gives what `predict` would give with the statistics before this batch; the
    gradient still passes through the batch's own. So training and inference agree, as CrossQ needs.

    Parameters
    ----------
    num_features, eps, momentum, affine
        As in `BatchNorm`; a momentum of 0.99 is usual here.
    r_max, d_max : float
        Limits of the corrections, r_max ≥ 1 and d_max ≥ 0. With 1 and 0 this is batch normalisation.
    warmup : int
        For so many batches r = 1 and d = 0, while the running statistics settle.

    Attributes
    ----------
    weight, bias, running_mean, running_var, num_batches_tracked
        As in `BatchNorm`. Ioffe averages σ; here, as in CrossQ, it is σ².
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.99,
        affine: bool = True,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup: int = 0,
        dtype=np.float32,
    ):
        check_size_and_eps(num_features, eps)
        check_momentum(momentum)
        if not r_max >= 1 or not d_max >= 0 or warmup < 0:
            raise ValueError(f"expected r_max >= 1, d_max >= 0, warmup >= 0, given {r_max}, {d_max}, {warmup}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.r_max, self.d_max, self.warmup = r_max, d_max, warmup
        self.weight, self.bias = affine_parameters(num_features, affine, dtype)
        self.running_mean, self.running_var, self.num_batches_tracked = running_statistics(num_features, dtype)
        self._cache = None

    def forward(self, x):
        check_channels(x, self.num_features, (2, 3))
        mean, variance = batch_norm.moments(x)
        running = self.running_mean.data, self.running_var.data
        limits = (1.0, 0.0) if self.num_batches_tracked.data < self.warmup else (self.r_max, self.d_max)
        r, d = batch_renorm.correction(mean, variance, *running, *limits, self.eps)
        y, self._cache = batch_renorm.forward(x, *scale_and_shift(self, x, self.num_features), r, d, self.eps)
        track(self, mean, variance, x.size // self.num_features)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        dx, dgamma, dbeta, _, _ = batch_renorm.backward(dy, self._cache)  # r and d are held constant
        if params:
            add_gradients(self, dgamma, dbeta)
        return dx if inputs else None

    def predict(self, x):
        check_channels(x, self.num_features, (2, 3))
        return batch_norm.infer(x, *scale_and_shift(self, x, self.num_features), self.running_mean.data, self.running_var.data, self.eps)

    def __repr__(self) -> str:
        return f"BatchRenorm1d({self.num_features})"


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


def running_statistics(size: int, dtype) -> tuple[Buffer, Buffer, Buffer]:
    """Mean (size,), variance (size,) and the number of batches, of which there was none yet."""
    return Buffer(np.zeros(size, dtype)), Buffer(np.ones(size, dtype)), Buffer(np.zeros((), np.int64))


def track(layer, mean, variance, m: int) -> None:
    """Move the layer's running statistics towards those of a batch with m values for each channel."""
    if m == 0:
        return
    keep = layer.momentum
    layer.running_mean.data[...] = keep * layer.running_mean.data + (1 - keep) * mean
    if m > 1:
        layer.running_var.data[...] = keep * layer.running_var.data + (1 - keep) * m / (m - 1) * variance
    layer.num_batches_tracked.data[...] += 1


def check_size_and_eps(size: int, eps: float, name: str = "num_features") -> None:
    """Raise ValueError unless size is a positive integer and eps is positive."""
    if size != int(size) or size < 1 or not eps > 0:
        raise ValueError(f"expected {name} >= 1 and eps > 0, given {size} and {eps}")


def check_momentum(momentum: float) -> None:
    """Raise ValueError unless the share kept leaves room for the new."""
    if not 0 <= momentum < 1:
        raise ValueError(f"expected momentum, the share kept, in [0, 1), given {momentum}")


def check_last_axis(x, size: int) -> None:
    """Raise ValueError unless x is (…, size)."""
    if x.ndim == 0 or x.shape[-1] != size:
        raise ValueError(f"expected input of shape (…, {size}), given {x.shape}")


def check_channels(x, channels: int, ndims: tuple[int, ...] | None) -> None:
    """Raise ValueError unless axis 1 of x has `channels` and x has one of `ndims` axes, or any number from 2."""
    if x.ndim < 2 or x.shape[1] != channels or (ndims and x.ndim not in ndims):
        shapes = " or ".join(LETTERS[n] for n in ndims) if ndims else "(B, C, …)"
        raise ValueError(f"expected input of shape {shapes} with C = {channels}, given {x.shape}")
