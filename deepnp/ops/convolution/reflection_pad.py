"""An image or a sequence continued by its mirror image, the edge cell not repeated.      B samples, C channels

Forward    d c b | a b c d e | d c b: along each axis, cell m of y is cell |m − before| of x, and beyond the far edge E it is
           2E − that; one axis after the other, so corners are reflected twice
Backward   each border of dy is folded back, mirrored, onto the cells it was read from and added to what they get directly;
           the axes in the opposite order, as the transpose of a product wants it

padding must be less than the size: a border holds at most what lies on the other side of the mirror.
"""

from deepnp.backend import array_module


def forward(x, padding):
    """x (B, C, *size), padding a (before, after) for each axis of `size` -> y (B, C, *larger)."""
    y = x
    for axis, (before, after) in enumerate(padding, start=2):
        n = y.shape[axis]
        pieces = [_cut(y, axis, 1, 1 + before, mirrored=True), y, _cut(y, axis, n - 1 - after, n - 1, mirrored=True)]
        y = array_module(x).concatenate(pieces, axis=axis)
    return y, padding


def backward(dy, cache):
    """dy (B, C, *larger) -> dx (B, C, *size)."""
    dx = dy
    for axis, (before, after) in reversed(list(enumerate(cache, start=2))):
        n = dx.shape[axis] - before - after
        inner = _cut(dx, axis, before, before + n).copy()
        _cut(inner, axis, 1, 1 + before)[...] += _cut(dx, axis, 0, before, mirrored=True)
        _cut(inner, axis, n - 1 - after, n - 1)[...] += _cut(dx, axis, before + n, before + n + after, mirrored=True)
        dx = inner
    return dx


def _cut(x, axis, start, stop, mirrored=False):
    """Cells from start to stop along an axis, a view, in reverse where mirrored."""
    part = x[(slice(None),) * axis + (slice(start, stop),)]
    return part[(slice(None),) * axis + (slice(None, None, -1),)] if mirrored else part


CASES = [
    dict(x=(2, 3, 4, 3), padding=[(1, 2), (2, 0)]),
    dict(x=(2, 3, 5), padding=[(4, 3)]),
    dict(x=(0, 3, 4, 2), padding=[(1, 1), (1, 1)]),
]
