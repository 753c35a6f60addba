"""Max pooling.                             B samples, C channels; t a tap of the window, n an output position

Forward    y_bcn = max_t x̄_bc(n·stride + t·dilation)        x̄ is x with −∞ around it: padding never wins
Backward   dx[the cell that gave y_bcn] += dy_bcn            a small move of any other cell leaves y as it is; "+=" because
                                                             windows overlap, and one cell may win in several

Of equal cells the first in row order wins, and a NaN wins over all numbers, as in PyTorch. (Thesis Alg. 7 takes the maximum of the
whole map, and assigns where it should add.)
"""

import math

import numpy as np

from deepnp.backend import array_module, kernel, kernel_runs, ordered_kernel
from deepnp.ops.convolution import Window, as_image, as_plane


def forward(x, window):
    """x (B, C, *size) -> y (B, C, *out)."""
    xp, out = array_module(x), window.out(x.shape[2:])
    y, winner = xp.full((*x.shape[:2], *out), -np.inf, x.dtype), xp.empty((*x.shape[:2], *out), np.int32)
    if kernel_runs(x):
        _forward(as_image(x), as_image(y), as_image(winner), *as_plane(out, window))
        return y, (winner, window, x.shape)
    wide, number = window.padded(x, -np.inf), _numbers(xp, window.wide(x.shape[2:]))
    winner[...] = number[next(window.taps(out))[1]]  # where all are −∞, the first
    for _, cells in window.taps(out):
        seen = wide[:, :, *cells]
        better = (seen > y) | (seen != seen)
        xp.copyto(y, seen, where=better)
        xp.copyto(winner, number[cells], where=better)
    return y, (winner, window, x.shape)


def backward(dy, cache):
    """dy (B, C, *out) -> dx (B, C, *size)."""
    winner, window, shape = cache
    xp, out = array_module(dy), dy.shape[2:]
    if kernel_runs(dy):
        dx = np.empty(shape, dy.dtype)
        _backward(as_image(dy), as_image(winner), as_image(dx), *as_plane(out, window))
        return dx
    wide, number = xp.zeros((*shape[:2], *window.wide(shape[2:])), dy.dtype), _numbers(xp, window.wide(shape[2:]))
    for _, cells in window.taps(out):
        wide[:, :, *cells] += xp.where(winner == number[cells], dy, dy.dtype.type(0))
    return wide[:, :, *window.inner(shape[2:])]


def _numbers(xp, size):
    """The padded cells numbered in row order: the names under which winners are remembered."""
    return xp.arange(math.prod(size), dtype=np.int32).reshape(size)


@ordered_kernel
def _forward(x, y, winner, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw):
    samples, channels, height, width = x.shape
    across = width + 2 * pw
    image, flat_y, flat_winner = x.reshape(-1), y.reshape(-1), winner.reshape(-1)
    wide = np.full((height + 2 * ph) * across, -np.inf, x.dtype)
    for plane in range(samples * channels):
        for h in range(height):
            source = image[(plane * height + h) * width :]
            target = wide[(h + ph) * across + pw :]
            for n in range(width):
                target[n] = source[n]
        for m in range(oh):
            best, place = flat_y[(plane * oh + m) * ow :], flat_winner[(plane * oh + m) * ow :]
            first = m * sh * across
            for n in range(ow):
                best[n], place[n] = wide[first + n * sw], first + n * sw
            for i in range(kh):
                for j in range(kw):
                    first = (m * sh + i * dh) * across + j * dw
                    seen = wide[first:]
                    for n in range(ow):  # no branch: nothing foresees which cell wins
                        value = seen[n * sw]
                        better = (value > best[n]) | (value != value)
                        place[n] = first + n * sw if better else place[n]
                        best[n] = value if better else best[n]


@kernel
def _backward(dy, winner, dx, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw):
    samples, channels, height, width = dx.shape
    across = width + 2 * pw
    image, flat_dy, flat_winner = dx.reshape(-1), dy.reshape(-1), winner.reshape(-1)
    wide = np.empty((height + 2 * ph) * across, dx.dtype)
    for plane in range(samples * channels):
        wide[:] = 0
        for n in range(plane * oh * ow, (plane + 1) * oh * ow):
            wide[flat_winner[n]] += flat_dy[n]
        for h in range(height):
            for n in range(width):
                image[(plane * height + h) * width + n] = wide[(h + ph) * across + pw + n]


CASES = [
    dict(x=(2, 3, 4, 6), window=Window((2, 2), stride=2)),
    dict(x=(2, 2, 7, 6), window=Window((3, 2), (2, 1), (1, 1))),
    dict(x=(1, 2, 7, 8), window=Window((2, 3), padding=1, dilation=(3, 2))),
    dict(x=(3, 2, 9), window=Window((3,), stride=2, padding=1)),
    dict(x=(2, 1, 5), window=Window((3,))),
    dict(x=(0, 2, 4, 4), window=Window((2, 2), stride=2)),
]
