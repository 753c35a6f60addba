"""Zeros around an image or a sequence.     B samples, C channels

Forward    y is x, with `padding` cells of zero before and after it on each axis
Backward   dx is dy without its border: nothing of x went there
"""

from deepnp.backend import array_module


def forward(x, padding):
    """x (B, C, *size), padding a (before, after) for each axis of `size` -> y (B, C, *larger)."""
    y = array_module(x).zeros((*x.shape[:2], *(a + n + b for n, (a, b) in zip(x.shape[2:], padding))), x.dtype)
    inside = (slice(None), slice(None), *(slice(a, a + n) for n, (a, _) in zip(x.shape[2:], padding)))
    y[inside] = x
    return y, inside


def backward(dy, cache):
    """dy (B, C, *larger) -> dx (B, C, *size)."""
    return dy[cache].copy()


CASES = [
    dict(x=(2, 3, 4, 2), padding=[(1, 2), (0, 3)]),
    dict(x=(2, 3, 5), padding=[(2, 0)]),
    dict(x=(0, 3, 4, 2), padding=[(1, 1), (1, 1)]),
]
