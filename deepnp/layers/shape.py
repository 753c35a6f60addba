"""Layers that move values about: padding, flattening, reshaping; and the checks that all layers over images share."""

import math
from types import ModuleType

import numpy as np

from deepnp.module import Module
from deepnp.ops.convolution import Sizes, reflection_pad, zero_pad

__all__ = ["Flatten", "ReflectionPad1d", "ReflectionPad2d", "Reshape", "ZeroPad1d", "ZeroPad2d"]


class Positional(Module):
    """An operation without parameters on images (B, C, H, W) or sequences (B, C, L): padding and pooling.

    Parameters
    ----------
    op : module
        An operation of `deepnp.ops.convolution`.
    setting
        Its second argument.
    least : tuple of int
        Smallest image it takes: a number for each axis of positions.
    name : str
        For `repr`.
    """

    def __init__(self, op: ModuleType, setting, least: Sizes, name: str):
        self.op, self.setting, self.least, self.name = op, setting, least, name
        self._cache = None

    def forward(self, x):
        check_image(x, self.least)
        y, self._cache = self.op.forward(x, self.setting)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        return self.op.backward(dy, self._cache) if inputs else None

    def predict(self, x):
        check_image(x, self.least)
        return self.op.forward(x, self.setting)[0]

    def __repr__(self) -> str:
        return self.name


def ZeroPad1d(padding: int | Sizes) -> Positional:
    """Zeros around a sequence: `padding` is one number or (before, after)."""
    return _pad(zero_pad, 1, padding, "ZeroPad1d")


def ZeroPad2d(padding: int | Sizes) -> Positional:
    """Zeros around an image: `padding` is one number or (left, right, top, bottom)."""
    return _pad(zero_pad, 2, padding, "ZeroPad2d")


def ReflectionPad1d(padding: int | Sizes) -> Positional:
    """A sequence continued by its mirror image: `padding` is one number or (before, after), less than the length."""
    return _pad(reflection_pad, 1, padding, "ReflectionPad1d")


def ReflectionPad2d(padding: int | Sizes) -> Positional:
    """An image continued by its mirror image: `padding` is one number or (left, right, top, bottom), less than the size."""
    return _pad(reflection_pad, 2, padding, "ReflectionPad2d")


class Flatten(Module):
    """All axes from `start_dim` on as one: (B, C, H, W) -> (B, C·H·W).

    Parameters
    ----------
    start_dim : int
        At least 0; 1 keeps the samples apart.
    """

    def __init__(self, start_dim: int = 1):
        if start_dim != int(start_dim) or start_dim < 0:
            raise ValueError(f"expected start_dim >= 0, given {start_dim}")
        self.start_dim = start_dim
        self._cache = None

    def forward(self, x):
        self._cache = x.shape
        return self.predict(x)

    def backward(self, dy, params: bool = True, inputs: bool = True):
        return dy.reshape(self._cache) if inputs else None

    def predict(self, x):
        if x.ndim <= self.start_dim:
            raise ValueError(f"expected an input of more than {self.start_dim} axes, given shape {x.shape}")
        return x.reshape(*x.shape[: self.start_dim], math.prod(x.shape[self.start_dim :]))

    def __repr__(self) -> str:
        return f"Flatten({self.start_dim})"


class Reshape(Module):
    """Each sample in another shape: (B, …) -> (B, *shape).

    Parameters
    ----------
    shape : tuple of int
        Of one sample, whole.
    """

    def __init__(self, shape: Sizes):
        if not all(isinstance(n, int | np.integer) and n >= 1 for n in shape):
            raise ValueError(f"expected a shape of positive sizes, given {shape}")
        self.shape = tuple(shape)
        self._cache = None

    def forward(self, x):
        self._cache = x.shape
        return self.predict(x)

    def backward(self, dy, params: bool = True, inputs: bool = True):
        return dy.reshape(self._cache) if inputs else None

    def predict(self, x):
        if x.ndim == 0 or math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ValueError(f"expected samples of {math.prod(self.shape)} values for {self.shape}, given input of shape {x.shape}")
        return x.reshape(x.shape[0], *self.shape)

    def __repr__(self) -> str:
        return f"Reshape({self.shape})"


def check_image(x, least: Sizes, channels: int | None = None) -> None:
    """Raise ValueError unless x is (B, C, *size) with so many channels and a size of at least `least`."""
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


def _pad(op: ModuleType, axes: int, padding: int | Sizes, name: str) -> Positional:
    """PyTorch counts from the last axis; the operation wants a pair for each axis, in order."""
    ends = sizes("padding", padding, 2 * axes, least=0)
    pairs = [ends[2 * i : 2 * i + 2] for i in reversed(range(axes))]
    least = tuple(max(pair) + 1 if op is reflection_pad else 1 for pair in pairs)
    return Positional(op, pairs, least, f"{name}({padding})")
