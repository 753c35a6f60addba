"""Normalisation layers over the batch, with statistics that run along for inference."""

from typing import NamedTuple

import numpy as np

from deepnp.layers.normalization import (
    add_gradients,
    affine_parameters,
    check_channels,
    check_size_and_eps,
    scale_and_shift,
    vectors_of,
)
from deepnp.module import Module, zeros_if_none
from deepnp.ops.normalization import batch_norm, batch_renorm
from deepnp.parameters import Buffer

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchRenorm1d"]


class Frozen(NamedTuple):
    """What a frozen `BatchNorm` keeps."""

    x: np.ndarray


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
    momentum : float or None
        Share of the running statistics that is *kept*, in [0, 1): the thesis's meaning. PyTorch's momentum is 1 − this, hence
        by name only. None averages all batches alike, as in PyTorch.
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
    frozen : bool
        True makes `forward` and `backward` those of `predict`: with the running statistics, which stay as they are.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        *,
        momentum: float | None = 0.9,
        affine: bool = True,
        ndims: tuple[int, ...] = (2, 3),
        dtype=np.float32,
    ):
        check_size_and_eps(num_features, eps)
        if momentum is not None:
            check_momentum(momentum)
        self.num_features, self.eps, self.momentum, self.ndims = num_features, eps, momentum, ndims
        self.weight, self.bias = affine_parameters((num_features,), affine, dtype)
        self.running_mean, self.running_var, self.num_batches_tracked = running_statistics(num_features, dtype)
        self.frozen = False
        self._cache = None

    def forward(self, x) -> np.ndarray:
        check_channels(x, self.num_features, self.ndims)
        if self.frozen:
            y, self._cache = self.predict(x), Frozen(x)
            return y
        y, self._cache = batch_norm.forward(x, *scale_and_shift(self, x, self.num_features), self.eps)
        track(self, *batch_norm.batch_moments(self._cache), x.size // self.num_features)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        if isinstance(self.cache, Frozen):
            dx, *gradients = batch_norm.infer_backward(dy, self.cache.x, *self._constants())
        else:
            dx, *gradients = batch_norm.backward(dy, self.cache)
        if params:
            add_gradients(self, *gradients)
        return dx if inputs else None

    def predict(self, x) -> np.ndarray:
        check_channels(x, self.num_features, self.ndims)
        return batch_norm.infer(
            x, *scale_and_shift(self, x, self.num_features), self.running_mean.data, self.running_var.data, self.eps
        )

    def _tangent(self, v, vx):
        x = self.cache.x
        vx = zeros_if_none(vx, x)
        if isinstance(self.cache, Frozen):
            gamma, *statistics = self._constants()
            return batch_norm.infer_jvp(vx, *vectors_of(self, v, gamma), x, gamma, *statistics)
        return batch_norm.jvp(vx, *vectors_of(self, v, self.cache.gamma), self.cache)

    def _constants(self) -> tuple:
        """γ, the running statistics and ε: what `predict` computes with, β aside."""
        gamma, _ = scale_and_shift(self, self.cache.x, self.num_features)
        return gamma, self.running_mean.data, self.running_var.data, self.eps

    def __repr__(self) -> str:
        return f"BatchNorm{max(self.ndims) - 2}d({self.num_features})"


class BatchNorm1d(BatchNorm):
    """`BatchNorm` of (B, C) or (B, C, L). `momentum` is the share *kept*: PyTorch's 0.1 is our 0.9."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, *, momentum: float | None = 0.9, affine: bool = True, dtype=np.float32
    ):
        super().__init__(num_features, eps, momentum=momentum, affine=affine, ndims=(2, 3), dtype=dtype)


class BatchNorm2d(BatchNorm):
    """`BatchNorm` of (B, C, H, W). `momentum` is the share *kept*: PyTorch's 0.1 is our 0.9."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, *, momentum: float | None = 0.9, affine: bool = True, dtype=np.float32
    ):
        super().__init__(num_features, eps, momentum=momentum, affine=affine, ndims=(4,), dtype=dtype)


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
        *,
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
        self.weight, self.bias = affine_parameters((num_features,), affine, dtype)
        self.running_mean, self.running_var, self.num_batches_tracked = running_statistics(num_features, dtype)
        self._cache = None

    def forward(self, x) -> np.ndarray:
        check_channels(x, self.num_features, (2, 3))
        mean, variance = batch_norm.moments(x)
        running = self.running_mean.data, self.running_var.data
        limits = (1.0, 0.0) if self.num_batches_tracked.data < self.warmup else (self.r_max, self.d_max)
        r, d = batch_renorm.correction(mean, variance, *running, *limits, self.eps)
        y, self._cache = batch_renorm.forward(x, *scale_and_shift(self, x, self.num_features), r, d, self.eps)
        track(self, mean, variance, x.size // self.num_features)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx, dgamma, dbeta, _, _ = batch_renorm.backward(dy, self.cache)  # r and d are held constant
        if params:
            add_gradients(self, dgamma, dbeta)
        return dx if inputs else None

    def predict(self, x) -> np.ndarray:
        check_channels(x, self.num_features, (2, 3))
        return batch_norm.infer(
            x, *scale_and_shift(self, x, self.num_features), self.running_mean.data, self.running_var.data, self.eps
        )

    def _tangent(self, v, vx):
        inner, gamma, r, d = self.cache
        still = zeros_if_none(None, r), zeros_if_none(None, d)
        return batch_renorm.jvp(zeros_if_none(vx, inner.x), *vectors_of(self, v, gamma), *still, self.cache)

    def __repr__(self) -> str:
        return f"BatchRenorm1d({self.num_features})"


def running_statistics(size: int, dtype) -> tuple[Buffer, Buffer, Buffer]:
    """Mean (size,), variance (size,) and the number of batches, of which there was none yet."""
    return Buffer(np.zeros(size, dtype)), Buffer(np.ones(size, dtype)), Buffer(np.zeros((), np.int64))


def track(layer, mean, variance, m: int) -> None:
    """Move the layer's running statistics towards those of a batch with m values for each channel."""
    if m == 0:
        return
    before = int(layer.num_batches_tracked.data)
    keep = before / (before + 1) if layer.momentum is None else layer.momentum
    layer.running_mean.data[...] = keep * layer.running_mean.data + (1 - keep) * mean
    if m > 1:
        layer.running_var.data[...] = keep * layer.running_var.data + (1 - keep) * m / (m - 1) * variance
    layer.num_batches_tracked.data[...] += 1


def check_momentum(momentum: float) -> None:
    """Raise ValueError unless the share kept leaves room for the new."""
    if not 0 <= momentum < 1:
        raise ValueError(f"expected momentum, the share kept, in [0, 1), given {momentum}")
