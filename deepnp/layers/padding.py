"""Layers without parameters over images and sequences: what they share, and padding."""

from collections.abc import Callable
from types import ModuleType

import numpy as np

from deepnp.checks import check_floats
from deepnp.module import Module
from deepnp.ops.convolution import Sizes, border_pad, zero_pad

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ZeroPad1d",
    "ZeroPad2d",
]


class Positional(Module):
    """Base of the layers without parameters over images (B, C, H, W) or sequences (B, C, L): padding and pooling.

    Parameters
    ----------
    settings : tuple
        What the operation takes after x.
    least : tuple of int
        Smallest image it takes: a number for each axis of positions.
    described : str
        The arguments, for `repr`.
    """

    op: ModuleType  # an operation of `deepnp.ops.convolution`
    axes: int  # of positions: 1 for sequences, 2 for images

    def __init__(self, settings: tuple, least: Sizes, described: str):
        self.settings, self.least, self.described = settings, least, described
        self._cache = None

    def forward(self, x) -> np.ndarray:
        check_image(x, self.least)
        y, self._cache = self.op.forward(x, *self.settings)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx = self.op.backward(dy, self.cache)
        return dx if inputs else None

    def _tangent(self, v, vx):
        return self.op.jvp(vx, self.cache)

    def predict(self, x) -> np.ndarray:
        check_image(x, self.least)
        return self.op.forward(x, *self.settings)[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.described})"


class Pad(Positional):
    """Base of the padding layers.

    Parameters
    ----------
    padding : int or tuple of int
        One number for all ends, or (before, after) for a sequence, (left, right, top, bottom) for an image.

    Raises
    ------
    ValueError
        If these are no whole numbers, or in `forward` for an input that is too small.
    TypeError
        In `forward`, if the input holds no floating-point numbers.
    """

    op = border_pad
    source: Callable | None = None  # of border_pad

    def __init__(self, padding: int | Sizes):
        ends = sizes("padding", padding, 2 * self.axes, least=0)
        pairs = [ends[2 * i : 2 * i + 2] for i in reversed(range(self.axes))]  # PyTorch counts from the last axis
        if self.source is None:
            super().__init__((pairs,), (1,) * self.axes, str(padding))
        else:
            super().__init__((pairs, self.source), border_pad.least_size(pairs, self.source), str(padding))


class ZeroPad1d(Pad):
    """Zeros around a sequence (B, C, L). `padding` as for `Pad`: one number or (before, after)."""

    op, axes = zero_pad, 1


class ZeroPad2d(Pad):
    """Zeros around an image (B, C, H, W). `padding`: one number or (left, right, top, bottom)."""

    op, axes = zero_pad, 2


class ReflectionPad1d(Pad):
    """A sequence (B, C, L) continued by its mirror image, the edge not repeated. `padding` is less than the length."""

    axes, source = 1, staticmethod(border_pad.reflected)


class ReflectionPad2d(Pad):
    """An image (B, C, H, W) continued by its mirror image, the edge not repeated. `padding` is less than the size."""

    axes, source = 2, staticmethod(border_pad.reflected)


class ReplicationPad1d(Pad):
    """A sequence (B, C, L) continued by its first and last values. `padding`: one number or (before, after)."""

    axes, source = 1, staticmethod(border_pad.replicated)


class ReplicationPad2d(Pad):
    """An image (B, C, H, W) continued by its edge cells. `padding`: one number or (left, right, top, bottom)."""

    axes, source = 2, staticmethod(border_pad.replicated)


class CircularPad1d(Pad):
    """A sequence (B, C, L) continued by its opposite end. `padding` is at most the length."""

    axes, source = 1, staticmethod(border_pad.circular)


class CircularPad2d(Pad):
    """An image (B, C, H, W) continued by its opposite edge. `padding` is at most the size."""

    axes, source = 2, staticmethod(border_pad.circular)


def check_image(x, least: Sizes, channels: int | None = None) -> None:
    """Raise unless x holds floats and is (B, C, *size) with so many channels and a size of at least `least`.

    Raises
    ------
    TypeError
        For integers and Booleans.
    ValueError
        For another shape.
    """
    check_floats(x)
    axes = "L" if len(least) == 1 else "H, W"
    if x.ndim != 2 + len(least) or x.shape[1] != (x.shape[1] if channels is None else channels):
        raise ValueError(f"expected input of shape (B, {channels or 'C'}, {axes}), given {x.shape}")
    if any(n < m for n, m in zip(x.shape[2:], least)):
        raise ValueError(f"expected ({axes}) of at least {least}, or the window does not fit, given input of shape {x.shape}")


def sizes(name: str, value: int | Sizes, axes: int, least: int = 1) -> Sizes:
    """`value` for each axis, one number standing for all; ValueError unless they are whole and at least `least`."""
    several = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    if len(several) != axes or not all(isinstance(n, int | np.integer) and n >= least for n in several):
        raise ValueError(f"expected {name} to be a whole number >= {least}, or {axes} of them, given {value}")
    return tuple(int(n) for n in several)
