"""Convolution through the Fourier transform: ops.convolution.conv for large kernels.     B samples, I channels in, O out

Sums over a window become products at each frequency f, so the cost no longer grows with the kernel. x̄ is x with its padding;
w is the kernel with zeros between its taps where it is dilated, u is dy with zeros between its cells where the stride is
above 1. Capitals are their transforms, all at one length that is no shorter than x̄: then nothing wraps around.

Forward    y_n = β + Σ_t w_t x̄_(n+t)     Y = X W*ᵀ       at each f; a sum of indices is a conjugate (*); every stride-th y is kept
Backward   dx̄_m = Σ_t w_t u_(m−t)        dX = U W        a difference of indices: here the kernel has turned round
           dw_t = Σ_n u_n x̄_(n+t)        dW = U*ᵀ X      as in forward, with u for the kernel
           dβ_o = Σ_bn dy_bon

X (F, G, B, I/G), W (F, G, O/G, I/G), U (F, G, B, O/G): a matrix product for each of F frequencies and G groups.
"""

import math

import numpy as np

from deepnp.backend import array_module
from deepnp.ops.convolution import Window
from deepnp.ops.convolution.conv import bias_gradient


def forward(x, weight, bias, window, groups=1):
    """x (B, I, *size), weight (O, I/G, *kernel), bias (O,) or None -> y (B, O, *out)."""
    size = x.shape[2:]
    lengths = tuple(fast_length(n) for n in window.wide(size))
    x_f = transform(grouped(window.padded(x), groups), lengths)
    w_f = transform(spaced(weight.reshape(groups, -1, *weight.shape[1:]), window.dilation), lengths)
    y = ungrouped(restore(x_f @ w_f.conj().swapaxes(-1, -2), lengths))
    y = y[:, :, *every(window.stride, window.out(size))]
    y = y.copy() if bias is None else y + bias.reshape(-1, *[1] * len(size))
    return y, (x_f, w_f, bias is not None, window, size, lengths)


def backward(dy, cache):
    """dy (B, O, *out) -> dx (B, I, *size), dweight (O, I/G, *kernel), and dbias (O,) if there is a bias."""
    return backward_input(dy, cache), *backward_parameters(dy, cache)


def backward_input(dy, cache):
    """dy (B, O, *out) -> dx (B, I, *size), where the parameters' gradients are not wanted."""
    _, w_f, _, window, size, lengths = cache
    u_f = transform(grouped(spaced(dy, window.stride), w_f.shape[1]), lengths)
    return ungrouped(restore(u_f @ w_f, lengths))[:, :, *window.inner(size)].copy()


def backward_parameters(dy, cache):
    """dy (B, O, *out) -> dweight (O, I/G, *kernel) and dbias (O,) if there is a bias, where dx is not wanted."""
    x_f, w_f, has_bias, window, _, lengths = cache
    u_f = transform(grouped(spaced(dy, window.stride), w_f.shape[1]), lengths)
    dweight = restore(u_f.conj().swapaxes(-1, -2) @ x_f, lengths)[:, :, :, *every(window.dilation, window.kernel)]
    dweight = dweight.reshape(dy.shape[1], -1, *window.kernel)
    return (dweight, bias_gradient(dy)) if has_bias else (dweight,)


def transform(x, lengths):
    """x (G, rows, columns, *size) -> its transform at these lengths (F, G, rows, columns)."""
    xp, axes = array_module(x), tuple(range(3, x.ndim))
    if x.size == 0:  # CuPy transforms nothing that is empty
        return xp.zeros((math.prod(frequencies(lengths)), *x.shape[:3]), np.result_type(x.dtype, np.complex64))
    x_f = xp.fft.rfftn(x, lengths, axes)
    return xp.ascontiguousarray(xp.moveaxis(x_f.reshape(*x.shape[:3], math.prod(x_f.shape[3:])), -1, 0))


def restore(x_f, lengths):
    """The inverse of `transform`: x_f (F, G, rows, columns) -> x (G, rows, columns, *lengths)."""
    xp = array_module(x_f)
    if x_f.size == 0:
        return xp.zeros((*x_f.shape[1:], *lengths), x_f.real.dtype)
    x_f = xp.moveaxis(x_f, 0, -1).reshape(*x_f.shape[1:], *frequencies(lengths))
    return xp.fft.irfftn(x_f, lengths, tuple(range(3, x_f.ndim)))


def frequencies(lengths):
    """How many frequencies a real signal of these lengths has along each axis: of the last, the negative ones say nothing new."""
    return *lengths[:-1], lengths[-1] // 2 + 1


def grouped(x, groups):
    """x (B, C, *size) -> (G, B, C/G, *size)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]).swapaxes(0, 1)


def ungrouped(x):
    """x (G, B, C/G, *size) -> (B, C, *size)."""
    return x.swapaxes(0, 1).reshape(x.shape[1], x.shape[0] * x.shape[2], *x.shape[3:])


def spaced(x, steps):
    """x with steps − 1 zeros between neighbours along each of the last axes."""
    if max(steps) == 1:
        return x
    leading, size = x.shape[: -len(steps)], x.shape[-len(steps) :]
    wide = array_module(x).zeros((*leading, *((n - 1) * s + 1 for n, s in zip(size, steps))), x.dtype)
    wide[..., *every(steps, size)] = x
    return wide


def every(steps, size):
    """Where the values of `spaced` lie."""
    return tuple(slice(0, (n - 1) * s + 1, s) for n, s in zip(size, steps))


def fast_length(n):
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
