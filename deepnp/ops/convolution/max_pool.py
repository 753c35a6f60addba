"""Max pooling.                             B samples, C channels; t a tap of the window, n an output position

Forward    y_bcn = max_t x_bc(n·stride + t·dilation)         over the taps that read a cell of x: the padding never wins
Backward   y_bcn equals one cell of x, the winner of n, and stays equal to it under any small move: ∂y_n/∂x_m is 1 for the
           winner m of n and 0 for all others, so
           dx_m = Σ_n dy_n over the positions n that m wins       windows overlap, and one cell may win in several
Tangent    vy_n = vx at the winner of n                           the same Jacobian, from the right

Of equal cells the first in row order wins, −∞ included, and a NaN wins over all numbers, as in PyTorch. (Thesis Alg. 7 takes the
maximum of the whole map, and assigns where it should add.)
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, ordered_kernel, summing_kernel
from deepnp.checks import check_tangent
from deepnp.dispatch import accelerated
from deepnp.ops.convolution import PLANE, Sizes, Window, as_image, as_plane, check_image, on_gpu


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    winner: object  # (B, C, *out), int32: the number of the winning cell, in row order, in the padded image
    window: Window
    x_shape: Sizes
    shape: Sizes  # of y


def forward(x, window) -> tuple[np.ndarray, Cache]:
    """x (B, C, *size) -> y (B, C, *out)."""
    xp, out = array_module(x), window.out(x.shape[2:])
    y, winner = xp.full((*x.shape[:2], *out), -np.inf, x.dtype), xp.empty((*x.shape[:2], *out), np.int32)
    winner[...] = xp.asarray(_first(window, x.shape[2:]))
    wide, number = window.padded(x, -np.inf), _numbers(xp, window.wide(x.shape[2:]))
    for _, cells in window.taps(out):
        value = wide[:, :, *cells]
        better = (value > y) | (value != value)  # the padding is never above −∞, where y begins
        xp.copyto(y, value, where=better)
        xp.copyto(winner, number[cells], where=better)
    return y, Cache(winner, window, x.shape, y.shape)


def backward(dy, cache) -> np.ndarray:
    """dy (B, C, *out) -> dx (B, C, *size)."""
    xp, size = array_module(dy), cache.x_shape[2:]
    wide = xp.zeros((*cache.x_shape[:2], *cache.window.wide(size)), dy.dtype)
    number = _numbers(xp, cache.window.wide(size))
    for _, cells in cache.window.taps(dy.shape[2:]):
        wide[:, :, *cells] += xp.where(cache.winner == number[cells], dy, dy.dtype.type(0))
    return wide[:, :, *cache.window.inner(size)]


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (B, C, *size) -> tangent of y."""
    check_tangent(vx, cache.x_shape)
    wide = cache.window.padded(vx)
    wide = wide.reshape(*vx.shape[:2], math.prod(wide.shape[2:]))
    winner = cache.winner.reshape(*vx.shape[:2], math.prod(cache.shape[2:]))
    return array_module(vx).take_along_axis(wide, winner, axis=2).reshape(cache.shape)


def _numbers(xp, size):
    """The padded cells numbered in row order: the names under which winners are remembered."""
    return xp.arange(math.prod(size), dtype=np.int32).reshape(size)


@lru_cache(maxsize=64)
def _first(window, size):
    """The first cell of x that each position reads, *out: where all are −∞, that one wins."""
    first = np.zeros((), np.int32)
    settings = zip(window.out(size), size, window.wide(size), window.kernel, window.padding, window.stride, window.dilation)
    for positions, n, wide, taps, p, stride, d in settings:
        begin = np.arange(positions, dtype=np.int32) * np.int32(stride)
        tap = np.maximum(0, -((begin - p) // d))  # the first that is beyond the padding
        inside = (tap < taps) & (begin + tap * d < p + n)
        first = first[..., None] * np.int32(wide) + np.where(inside, begin + tap * d, begin)
    first.flags.writeable = False
    return first


def _forward_fast(x, window):
    size, shape = x.shape[2:], (*x.shape[:2], *window.out(x.shape[2:]))
    y, winner = np.empty(shape, x.dtype), np.empty(shape, np.int32)
    wide, first = np.full(math.prod(window.wide(size)), -np.inf, x.dtype), _first(window, size).reshape(-1)
    _forward(as_image(x), y.reshape(-1), winner.reshape(-1), first, wide, _across(window, x.shape), *as_plane(shape[2:], window))
    return y, Cache(winner, window, x.shape, shape)


def _backward_fast(dy, cache):
    dx, window = np.empty(cache.x_shape, dy.dtype), cache.window
    wide, pads = np.empty(math.prod(window.wide(cache.x_shape[2:])), dy.dtype), (0, *window.padding)[-2:]
    _backward(dy.reshape(-1), cache.winner.reshape(-1), as_image(dx), wide, _across(window, cache.x_shape), *pads)
    return dx


def _across(window, shape):
    """Cells in one row of the padded image."""
    return window.wide(shape[2:])[-1]


@ordered_kernel
def _forward(x, y, winner, start, wide, across, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw):
    samples, channels, height, width = x.shape
    image, lowest = x.reshape(-1), x.dtype.type(-np.inf)
    for plane in range(samples * channels):
        for h in range(height):
            source = image[(plane * height + h) * width :]
            target = wide[(h + ph) * across + pw :]
            for n in range(width):
                target[n] = source[n]
        for m in range(oh):
            best, place = y[(plane * oh + m) * ow :], winner[(plane * oh + m) * ow :]
            for n in range(ow):
                best[n], place[n] = lowest, start[m * ow + n]
            for i in range(kh):
                for j in range(kw):
                    first = (m * sh + i * dh) * across + j * dw
                    seen = wide[first:]
                    for n in range(ow):  # no branch: nothing foresees which cell wins
                        value = seen[n * sw]
                        better = (value > best[n]) | (value != value)
                        place[n] = first + n * sw if better else place[n]
                        best[n] = value if better else best[n]


@summing_kernel
def _backward(dy, winner, dx, wide, across, ph, pw):
    samples, channels, height, width = dx.shape
    image, planes = dx.reshape(-1), samples * channels
    positions = len(dy) // planes
    for plane in range(planes):
        wide[:] = 0
        for n in range(plane * positions, (plane + 1) * positions):
            wide[winner[n]] += dy[n]
        for h in range(height):
            for n in range(width):
                image[(plane * height + h) * width + n] = wide[(h + ph) * across + pw + n]


def _forward_on_gpu(x, window):
    xp, out = array_module(x), window.out(x.shape[2:])
    y, winner = xp.empty((*x.shape[:2], *out), x.dtype), xp.empty((*x.shape[:2], *out), np.int32)
    _forward_gpu(y, winner, x, np.int32(_across(window, x.shape)), *on_gpu(x, out, window))
    return y, Cache(winner, window, x.shape, y.shape)


def _backward_on_gpu(dy, cache):
    dx, window = array_module(dy).empty(cache.x_shape, dy.dtype), cache.window
    _backward_gpu(dx, dy, cache.winner, np.int32(_across(window, cache.x_shape)), *on_gpu(dx, dy.shape[2:], window))
    return dx


_forward_gpu = gpu.Cells(
    f"T* y, int* winner, const T* x, int across, {PLANE}",
    """
    const int m = row % oh;
    x += row / oh * height * width;
    T best = __int_as_float(0xff800000);  // −∞
    int place = m * sh * across + j * sw;
    bool found = false;
    for (int s = 0; s < kh; ++s) {
        for (int t = 0; t < kw; ++t) {
            const int up = m * sh + s * dh, left = j * sw + t * dw, h = up - ph, w = left - pw;
            if (h < 0 || h >= height || w < 0 || w >= width) continue;
            const T value = x[size_t(h) * width + w];
            if (!found || value > best || value != value) best = value, place = up * across + left;
            found = true;
        }
    }
    y[cell] = best, winner[cell] = place;
    """,
    "max_pool",
)

_backward_gpu = gpu.Cells(
    f"T* dx, const T* dy, const int* winner, int across, {PLANE}",
    """
    const int h = row % height, place = (h + ph) * across + j + pw;  // a thread for each cell of x
    dy += row / height * oh * ow, winner += row / height * oh * ow;
    T total = 0;
    for (int s = 0; s < kh; ++s) {
        for (int t = 0; t < kw; ++t) {
            const int up = h + ph - s * dh, left = j + pw - t * dw, m = up / sh, n = left / sw;
            const bool seen = up >= 0 && left >= 0 && m * sh == up && n * sw == left && m < oh && n < ow;
            if (seen && winner[m * ow + n] == place) total += dy[m * ow + n];
        }
    }
    dx[cell] = total;
    """,
    "max_pool_backward",
)

forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, check=check_image)
backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, y_shape=lambda cache: cache.shape)

CASES = [
    dict(x=(2, 3, 4, 6), window=Window((2, 2), stride=2)),
    dict(x=(2, 2, 7, 6), window=Window((3, 2), (2, 1), (1, 1))),
    dict(x=(1, 2, 7, 8), window=Window((2, 3), padding=1, dilation=(3, 2))),
    dict(x=(3, 2, 9), window=Window((3,), stride=2, padding=1)),
    dict(x=(2, 1, 5), window=Window((3,))),
    dict(x=(2, 2, 6, 5), window=Window((3, 2), 2, 1, ceil=True)),
    dict(x=(0, 2, 4, 4), window=Window((2, 2), stride=2)),
]
