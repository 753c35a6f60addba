"""Adaptive average pooling: an output of given size from an input of any.        B samples, C channels, H × W -> P × Q

Forward    bin p of P over an axis of H cells: from ⌊pH/P⌋ up to ⌈(p+1)H/P⌉; neighbours share a cell where P does not divide H
           y_bcpq = mean of x_bc over row bin p and column bin q
           y = R x Sᵀ           R (P, H) holds 1/length in bin p's cells and 0 elsewhere, S (Q, W) the same for columns:
                                the mean over a rectangle is the mean of the means of its rows
Backward   dx = Rᵀ dy S         the map is linear, so its transpose

A sequence is an image of height 1.
"""

from deepnp.backend import array_module
from deepnp.ops.convolution import as_image


def forward(x, size):
    """x (B, C, *input size), size a list of one number or two -> y (B, C, *size)."""
    rows, columns = (means(array_module(x), n, bins, x.dtype) for n, bins in zip(as_image(x).shape[2:], [1, *size][-2:]))
    y = rows @ as_image(x) @ columns.T
    return y.reshape(*x.shape[:2], *size), (rows, columns, x.shape)


def backward(dy, cache):
    """dy (B, C, *size) -> dx (B, C, *input size)."""
    rows, columns, shape = cache
    return (rows.T @ as_image(dy) @ columns).reshape(shape)


def means(xp, cells, bins, dtype):
    """The matrix (bins, cells) that averages over each bin."""
    p, h = xp.arange(bins)[:, None], xp.arange(cells)
    inside = (h >= p * cells // bins) & (h < -(-(p + 1) * cells // bins))
    return (inside / inside.sum(axis=1, keepdims=True)).astype(dtype)


CASES = [
    dict(x=(2, 3, 4, 6), size=[2, 3]),
    dict(x=(2, 2, 7, 5), size=[3, 4]),
    dict(x=(1, 2, 3, 2), size=[1, 5]),
    dict(x=(2, 3, 7), size=[3]),
    dict(x=(0, 2, 4, 4), size=[2, 2]),
]
