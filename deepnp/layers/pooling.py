"""Pooling layers."""

from types import ModuleType

from deepnp.layers.shape import Positional, sizes
from deepnp.ops.convolution import Sizes, Window, adaptive_avg_pool, avg_pool, max_pool

__all__ = ["AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"]


def MaxPool1d(kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1) -> Positional:
    """The largest value in each window of a sequence (B, C, L).

    stride is the window's size by default; padding, at most half of that size, is never the largest.
    """
    return _pool(max_pool, 1, kernel_size, stride, padding, dilation, "MaxPool1d")


def MaxPool2d(
    kernel_size: int | Sizes, stride: int | Sizes | None = None, padding: int | Sizes = 0, dilation: int | Sizes = 1
) -> Positional:
    """The largest value in each window of an image (B, C, H, W).

    stride is the window's size by default; padding, at most half of that size, is never the largest.
    """
    return _pool(max_pool, 2, kernel_size, stride, padding, dilation, "MaxPool2d")


def AvgPool1d(kernel_size: int, stride: int | None = None, padding: int = 0) -> Positional:
    """The mean of each window of a sequence (B, C, L); padding, at most half of the window's size, counts as zeros."""
    return _pool(avg_pool, 1, kernel_size, stride, padding, 1, "AvgPool1d")


def AvgPool2d(kernel_size: int | Sizes, stride: int | Sizes | None = None, padding: int | Sizes = 0) -> Positional:
    """The mean of each window of an image (B, C, H, W); padding, at most half of the window's size, counts as zeros."""
    return _pool(avg_pool, 2, kernel_size, stride, padding, 1, "AvgPool2d")


def AdaptiveAvgPool1d(output_size: int) -> Positional:
    """A sequence (B, C, L) as `output_size` means: (B, C, output_size)."""
    return _adaptive(1, output_size, "AdaptiveAvgPool1d")


def AdaptiveAvgPool2d(output_size: int | Sizes) -> Positional:
    """An image (B, C, H, W) as means over a grid of `output_size`: (B, C, *output_size)."""
    return _adaptive(2, output_size, "AdaptiveAvgPool2d")


def _pool(op: ModuleType, axes: int, kernel_size, stride, padding, dilation, name: str) -> Positional:
    kernel = sizes("kernel_size", kernel_size, axes)
    window = Window(
        kernel,
        sizes("stride", kernel if stride is None else stride, axes),
        sizes("padding", padding, axes, least=0),
        sizes("dilation", dilation, axes),
    )
    if any(2 * p > k for p, k in zip(window.padding, kernel)):
        raise ValueError(f"expected padding of at most half the kernel_size {kernel}, given {window.padding}")
    least = tuple(max(1, r - 2 * p) for r, p in zip(window.reach, window.padding))
    return Positional(op, window, least, f"{name}({kernel_size}, stride={window.stride}, padding={window.padding})")


def _adaptive(axes: int, output_size, name: str) -> Positional:
    size = sizes("output_size", output_size, axes)
    return Positional(adaptive_avg_pool, list(size), (1,) * axes, f"{name}({output_size})")
