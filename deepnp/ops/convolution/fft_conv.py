"""Convolution through the Fourier transform: ops.convolution.conv for large kernels.     B samples, I channels in, O out

Sums over a window become products at each frequency f, so the cost no longer grows with the kernel. x̄ is x with its padding;
w is the kernel with zeros between its taps where it is dilated, u is dy with zeros between its cells where the stride is
above 1. Capitals are their transforms, all at one length that is no shorter than x̄: then nothing wraps around.

Forward    y_n = β + Σ_t w_t x̄_(n+t)     Y = X W*ᵀ       at each f; a sum of indices is a conjugate (*); every stride-th y is kept
Backward   dx̄_m = Σ_n u_n ∂y_n/∂x̄_m      w_(m−n) is that derivative; with t = m − n
                = Σ_t w_t u_(m−t)        dX = U W        a difference of indices: here the kernel has turned round
           dw_t = Σ_n u_n ∂y_n/∂w_t      x̄_(n+t) is that derivative
                = Σ_n u_n x̄_(n+t)        dW = U*ᵀ X      as in forward, with u for the kernel
           dβ_o = Σ_bn dy_bon
Tangent    vY = vX W*ᵀ + X vW*ᵀ          and vβ: the product rule at each f

X (F, G, B, I/G), W (F, G, O/G, I/G), U (F, G, B, O/G): a matrix product for each of F frequencies and G groups.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_tangent, check_upstream
from deepnp.ops.convolution import Sizes, Window, across, check_kernel
from deepnp.ops.convolution.conv import bias_gradient


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    x_f: object  # X
    w_f: object  # W
    has_bias: bool
    window: Window
    lengths: Sizes  # of the transforms
    x_shape: Sizes
    weight_shape: Sizes
    shape: Sizes  # of y


def forward(x, weight, bias, window, groups=1) -> tuple[np.ndarray, Cache]:
    """x (B, I, *size), weight (O, I/G, *kernel), bias (O,) or None -> y (B, O, *out)."""
    check_kernel(x, weight, bias, window, groups)
    lengths = tuple(fast_length(n) for n in window.wide(x.shape[2:]))
    x_f, w_f = image_spectrum(x, window, groups, lengths), kernel_spectrum(weight, window, groups, lengths)
    y = product(x_f, w_f, window, lengths, x.shape[2:])
    y = y.copy() if bias is None else y + across(bias, window)
    return y, Cache(x_f, w_f, bias is not None, window, lengths, x.shape, weight.shape, y.shape)


def backward(dy, cache) -> tuple[np.ndarray, ...]:
    """dy (B, O, *out) -> dx (B, I, *size), dweight (O, I/G, *kernel), and dbias (O,) if there is a bias."""
    return backward_input(dy, cache), *backward_parameters(dy, cache)


def backward_input(dy, cache) -> np.ndarray:
    """dy (B, O, *out) -> dx (B, I, *size), where the parameters' gradients are not wanted."""
    dx = ungrouped(restore(_upstream_spectrum(dy, cache) @ cache.w_f, cache.lengths))
    return dx[:, :, *cache.window.inner(cache.x_shape[2:])].copy()


def backward_parameters(dy, cache) -> tuple[np.ndarray, ...]:
    """dy (B, O, *out) -> dweight (O, I/G, *kernel) and dbias (O,) if there is a bias, where dx is not wanted."""
    dw_f = _upstream_spectrum(dy, cache).conj().swapaxes(-1, -2) @ cache.x_f
    taps = every(cache.window.dilation, cache.window.kernel)
    dweight = restore(dw_f, cache.lengths)[:, :, :, *taps].reshape(cache.weight_shape)
    return (dweight, bias_gradient(dy)) if cache.has_bias else (dweight,)


def jvp(vx, vweight, *rest) -> np.ndarray:
    """Tangents vx (B, I, *size), vweight (O, I/G, *kernel), vbias (O,) if there is a bias, cache -> tangent of y."""
    *vbias, cache = rest
    check_tangent(vx, cache.x_shape)
    check_tangent(vweight, cache.weight_shape)
    window, lengths, groups, size = cache.window, cache.lengths, cache.w_f.shape[1], cache.x_shape[2:]
    vy = product(image_spectrum(vx, window, groups, lengths), cache.w_f, window, lengths, size)
    vy = vy + product(cache.x_f, kernel_spectrum(vweight, window, groups, lengths), window, lengths, size)
    for v in vbias:
        check_tangent(v, cache.shape[1:2])
        vy += across(v, window)
    return vy


def image_spectrum(x, window, groups, lengths) -> np.ndarray:
    """X of x (B, I, *size)."""
    return transform(grouped(window.padded(x), groups), lengths)


def kernel_spectrum(weight, window, groups, lengths) -> np.ndarray:
    """W of weight (O, I/G, *kernel)."""
    return transform(spaced(weight.reshape(groups, -1, *weight.shape[1:]), window.dilation), lengths)


def product(x_f, w_f, window, lengths, size) -> np.ndarray:
    """X W*ᵀ taken back, every stride-th position of it: a view (B, O, *out)."""
    y = ungrouped(restore(x_f @ w_f.conj().swapaxes(-1, -2), lengths))
    return y[:, :, *every(window.stride, window.out(size))]


def _upstream_spectrum(dy, cache):
    """U of dy (B, O, *out)."""
    check_upstream(dy, cache.shape)
    return transform(grouped(spaced(dy, cache.window.stride), cache.w_f.shape[1]), cache.lengths)


def transform(x, lengths) -> np.ndarray:
    """x (G, rows, columns, *size) -> its transform at these lengths (F, G, rows, columns)."""
    xp, axes = array_module(x), tuple(range(3, x.ndim))
    if x.size == 0:  # CuPy transforms nothing that is empty
        return xp.zeros((math.prod(frequencies(lengths)), *x.shape[:3]), np.result_type(x.dtype, np.complex64))
    x_f = xp.fft.rfftn(x, lengths, axes)
    return xp.ascontiguousarray(xp.moveaxis(x_f.reshape(*x.shape[:3], math.prod(x_f.shape[3:])), -1, 0))


def restore(x_f, lengths) -> np.ndarray:
    """The inverse of `transform`: x_f (F, G, rows, columns) -> x (G, rows, columns, *lengths)."""
    xp = array_module(x_f)
    if x_f.size == 0:
        return xp.zeros((*x_f.shape[1:], *lengths), x_f.real.dtype)
    x_f = xp.moveaxis(x_f, 0, -1).reshape(*x_f.shape[1:], *frequencies(lengths))
    return xp.fft.irfftn(x_f, lengths, tuple(range(3, x_f.ndim)))


def frequencies(lengths) -> tuple[int, ...]:
    """How many frequencies a real signal of these lengths has along each axis: of the last, the negative ones say nothing new."""
    return *lengths[:-1], lengths[-1] // 2 + 1


def grouped(x, groups) -> np.ndarray:
    """x (B, C, *size) -> (G, B, C/G, *size)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]).swapaxes(0, 1)


def ungrouped(x) -> np.ndarray:
    """x (G, B, C/G, *size) -> (B, C, *size)."""
    return x.swapaxes(0, 1).reshape(x.shape[1], x.shape[0] * x.shape[2], *x.shape[3:])


def spaced(x, steps) -> np.ndarray:
    """x with steps − 1 zeros between neighbours along each of the last axes."""
    if max(steps) == 1:
        return x
    leading, size = x.shape[: -len(steps)], x.shape[-len(steps) :]
    wide = array_module(x).zeros((*leading, *((n - 1) * s + 1 for n, s in zip(size, steps))), x.dtype)
    wide[..., *every(steps, size)] = x
    return wide


def every(steps, size) -> tuple[slice, ...]:
    """Where the values of `spaced` lie."""
    return tuple(slice(0, (n - 1) * s + 1, s) for n, s in zip(size, steps))


def fast_length(n) -> int:
    """The least number from n on whose only prime factors are 2, 3 and 5: a transform of that length is fast."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


CASES = [
    dict(x=(2, 3, 6, 7), weight=(4, 3, 4, 5), bias=(4,), window=Window((4, 5), padding=(2, 1))),
    dict(x=(2, 4, 7, 6), weight=(6, 2, 3, 2), bias=(6,), window=Window((3, 2), (2, 3), (2, 1), (1, 2)), groups=2),
    dict(x=(2, 3, 4, 4), weight=(6, 1, 3, 3), bias=None, window=Window((3, 3), padding=1), groups=3),
    dict(x=(3, 2, 17), weight=(3, 2, 6), bias=(3,), window=Window((6,), stride=2, padding=3, dilation=2)),
    dict(x=(0, 2, 4, 4), weight=(3, 2, 3, 3), bias=(3,), window=Window((3, 3), padding=1)),
]
