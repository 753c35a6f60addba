"""Convolution (cross-correlation, as everywhere in deep learning).        B samples, I channels in, O out, G groups of them

t is a tap of the kernel and n one of the N output positions: numbers for a sequence, (row, column) for an image.
x̄ is x with its padding of zeros.

Forward    y_bon = β_o + Σ_ct W_oct x̄_bc(n·stride + t·dilation)       c over the channels of o's group
           y = β + W P              P (I/G·taps, B·N), the patches: column n is what the window sees at n
Backward   y is linear in W and in P, as in ops.linear:
           dW = dy Pᵀ               one kernel serves every sample and position: a sum over all columns
           dP = Wᵀ dy               each patch value reaches all outputs of its column
           dx_bcm = Σ dP            over the entries of P that were read from the cell m: position n sees it
                                    through tap t, a later n through an earlier t; what P read in the padding is dropped
           dβ_o = Σ_bn dy_bon       no scale anywhere: the mean belongs to the loss
Tangent    vy = vβ + vW P + W vP    the product rule; vP are the patches of vx

`gather` makes P and `scatter` takes dP back. On the CPU that is done for a few samples at a time, whose patches stay in the
cache, and P is made anew in backward: that costs less than writing all of it to memory and reading it again.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module
from deepnp.checks import check_tangent, check_upstream
from deepnp.ops.convolution import Sizes, Window, across, blocks, check_kernel, gather, over_threads, scatter


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    x: object  # (B, I, *size)
    weight: object  # (O, I/G, *kernel)
    has_bias: bool
    window: Window
    groups: int
    shape: Sizes  # of y


def forward(x, weight, bias, window, groups=1) -> tuple[np.ndarray, Cache]:
    """x (B, I, *size), weight (O, I/G, *kernel), bias (O,) or None -> y (B, O, *out)."""
    check_kernel(x, weight, bias, window, groups)
    y = correlate(x, weight, bias, window, groups, window.out(x.shape[2:]))
    return y, Cache(x, weight, bias is not None, window, groups, y.shape)


def backward(dy, cache) -> tuple[np.ndarray, ...]:
    """dy (B, O, *out) -> dx (B, I, *size), dweight (O, I/G, *kernel), and dbias (O,) if there is a bias."""
    return backward_input(dy, cache), *backward_parameters(dy, cache)


def backward_input(dy, cache) -> np.ndarray:
    """dy (B, O, *out) -> dx (B, I, *size), where the parameters' gradients are not wanted."""
    check_upstream(dy, cache.shape)
    return correlate_transposed(dy, cache.weight, cache.window, cache.groups, cache.x.shape[2:])


def backward_parameters(dy, cache) -> tuple[np.ndarray, ...]:
    """dy (B, O, *out) -> dweight (O, I/G, *kernel) and dbias (O,) if there is a bias, where dx is not wanted."""
    check_upstream(dy, cache.shape)
    dweight = correlate_weight(cache.x, dy, cache.weight.shape, cache.window, cache.groups)
    return (dweight, bias_gradient(dy)) if cache.has_bias else (dweight,)


def jvp(vx, vweight, *rest) -> np.ndarray:
    """Tangents vx (B, I, *size), vweight (O, I/G, *kernel), vbias (O,) if there is a bias, cache -> tangent of y."""
    *vbias, cache = rest
    check_tangent(vx, cache.x.shape)
    check_tangent(vweight, cache.weight.shape)
    settings = cache.window, cache.groups, cache.shape[2:]
    vy = correlate(vx, cache.weight, None, *settings) + correlate(cache.x, vweight, None, *settings)
    for v in vbias:
        check_tangent(v, cache.shape[1:2])
        vy += across(v, cache.window)
    return vy


def correlate(x, weight, bias, window, groups, out) -> np.ndarray:
    """y = W P + β: x (B, I, *size), weight (O, I/G, *kernel), bias (O,) or None -> (B, O, *out)."""
    xp, (outputs, taps, positions) = array_module(x), _sizes(weight, out)
    y = xp.empty((x.shape[0], outputs, *out), np.result_type(x.dtype, weight.dtype))
    matrix = weight.reshape(groups, outputs // groups, taps)
    shift = 0 if bias is None else across(bias, window)

    def work(samples):
        for block in blocks(samples, x, groups * taps * positions):
            patches = gather(x[block], window, out).reshape(groups, taps, -1)
            product = xp.matmul(matrix, patches).reshape(outputs, -1, *out)  # (O, B, *out)
            xp.add(product.swapaxes(0, 1), shift, out=y[block])

    over_threads(work, x, y.size * taps)
    return y


def correlate_transposed(dy, weight, window, groups, size) -> np.ndarray:
    """dx = the scattered Wᵀ dy: dy (B, O, *out), weight (O, I/G, *kernel) -> (B, I, *size)."""
    xp, (outputs, taps, positions) = array_module(dy), _sizes(weight, dy.shape[2:])
    dx = xp.zeros((dy.shape[0], groups * weight.shape[1], *size), np.result_type(dy.dtype, weight.dtype))
    transposed = weight.reshape(groups, outputs // groups, taps).swapaxes(1, 2)

    def work(samples):
        for block in blocks(samples, dy, groups * taps * positions):
            rows = _rows(dy[block], groups)
            dpatches = transposed * rows if outputs == groups else xp.matmul(transposed, rows)  # (G, taps, B·N)
            scatter(dpatches.reshape(dx.shape[1], *weight.shape[2:], -1, *dy.shape[2:]), window, dx[block])

    over_threads(work, dy, dy.size * taps)
    return dx


def correlate_weight(x, dy, shape, window, groups) -> np.ndarray:
    """dW = dy Pᵀ: x (B, I, *size), dy (B, O, *out) -> (O, I/G, *kernel), which is `shape`."""
    xp, out = array_module(x), dy.shape[2:]
    taps, positions = math.prod(shape[1:]), math.prod(out)

    def work(samples):
        dmatrix = xp.zeros((groups, shape[0] // groups, taps), np.result_type(x.dtype, dy.dtype))
        for block in blocks(samples, x, groups * taps * positions):
            patches = gather(x[block], window, out).reshape(groups, taps, -1)
            dmatrix += xp.matmul(_rows(dy[block], groups), patches.swapaxes(1, 2))
        return dmatrix

    return sum(over_threads(work, x, dy.size * taps)).reshape(shape)


def bias_gradient(dy) -> np.ndarray:
    """dβ: dy (B, O, *out) -> (O,)."""
    if gpu.rows_run(dy):
        return _sum_gpu(dy)[0]
    return dy.sum(axis=(0, *range(2, dy.ndim)))


def _rows(dy, groups):
    """dy (B, O, *out) -> (G, O/G, B·N): the positions of all samples in one row, as in the patches."""
    return dy.swapaxes(0, 1).reshape(groups, dy.shape[1] // groups, -1)


def _sizes(weight, out):
    """Outputs O, taps of one output over all its channels, positions."""
    return weight.shape[0], math.prod(weight.shape[1:]), math.prod(out)


_sum_gpu = gpu.Channels("const T* dy", "sums[0] += dy[cell];", "bias_gradient")

CASES = [
    dict(x=(2, 3, 5, 6), weight=(4, 3, 3, 2), bias=(4,), window=Window((3, 2))),
    dict(x=(2, 4, 7, 6), weight=(6, 2, 3, 2), bias=(6,), window=Window((3, 2), (2, 3), (2, 1), (1, 2)), groups=2),
    dict(x=(2, 3, 4, 4), weight=(6, 1, 3, 3), bias=None, window=Window((3, 3), padding=1), groups=3),
    dict(x=(2, 3, 4, 5), weight=(3, 1, 2, 2), bias=(3,), window=Window((2, 2)), groups=3),
    dict(x=(3, 2, 9), weight=(3, 2, 4), bias=(3,), window=Window((4,), stride=2, padding=3, dilation=2)),
    dict(x=(1, 1, 1, 1), weight=(2, 1, 3, 3), bias=(2,), window=Window((3, 3), stride=3, padding=4)),
    dict(x=(2, 3, 4, 3), weight=(2, 3, 1, 1), bias=(2,), window=Window((1, 1))),
    dict(x=(0, 2, 4, 4), weight=(3, 2, 3, 3), bias=(3,), window=Window((3, 3), padding=1)),
    dict(x=(0, 2, 4), weight=(3, 2, 3), bias=None, window=Window((3,))),
]
