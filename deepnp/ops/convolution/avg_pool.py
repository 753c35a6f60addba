"""Average pooling.                         B samples, C channels; t one of the K taps of the window, n an output position

Forward    y_bcn = (1/K) Σ_t x̄_bc(n·stride + t)      x̄ is x with zeros around it, and those count: K is the same everywhere
Backward   dx_bcm = (1/K) Σ_n dy_bcn                  over all windows n that see the cell m: each passes on the same share
"""

import math

from deepnp.backend import array_module
from deepnp.ops.convolution import Window


def forward(x, window):
    """x (B, C, *size) -> y (B, C, *out)."""
    out, wide = window.out(x.shape[2:]), window.padded(x)
    y = array_module(x).zeros((*x.shape[:2], *out), x.dtype)
    for _, cells in window.taps(out):
        y += wide[:, :, *cells]
    y /= math.prod(window.kernel)
    return y, (window, x.shape)


def backward(dy, cache):
    """dy (B, C, *out) -> dx (B, C, *size)."""
    window, shape = cache
    wide, share = array_module(dy).zeros((*shape[:2], *window.wide(shape[2:])), dy.dtype), dy / math.prod(window.kernel)
    for _, cells in window.taps(dy.shape[2:]):
        wide[:, :, *cells] += share
    return wide[:, :, *window.inner(shape[2:])]


CASES = [
    dict(x=(2, 3, 4, 6), window=Window((2, 2), stride=2)),
    dict(x=(2, 2, 7, 6), window=Window((3, 2), (2, 1), (1, 1))),
    dict(x=(3, 2, 9), window=Window((3,), stride=2, padding=1)),
    dict(x=(2, 1, 5), window=Window((5,))),
    dict(x=(0, 2, 4, 4), window=Window((2, 2), stride=2)),
]
