"""Pooling layers."""

from deepnp.layers.padding import Positional, sizes
from deepnp.ops.convolution import Sizes, Window, adaptive_avg_pool, adaptive_max_pool, avg_pool, max_pool

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "MaxPool1d",
    "MaxPool2d",
]


class MaxPool(Positional):
    """Base of `MaxPool1d` and `MaxPool2d`: the largest value in each window.

    Parameters
    ----------
    kernel_size, stride, padding, dilation : int or tuple of int
        One number for all axes or one for each. stride is kernel_size by default; padding, at most half of kernel_size, is never
        the largest.
    ceil_mode : bool
        Whether a last window counts that begins inside and reaches beyond the far end.

    Raises
    ------
    ValueError
        For arguments that do not fit one another, and for an input smaller than the window.
    TypeError
        For an input that holds no floating-point numbers.
    """

    op = max_pool

    def __init__(
        self,
        kernel_size: int | Sizes,
        stride: int | Sizes | None = None,
        padding: int | Sizes = 0,
        dilation: int | Sizes = 1,
        *,
        ceil_mode: bool = False,
    ):
        window = pooling_window(self.axes, kernel_size, stride, padding, dilation, ceil_mode)
        super().__init__((window,), least_size(window), describe(window))


class MaxPool1d(MaxPool):
    """The largest value in each window of a sequence (B, C, L). The arguments are those of `MaxPool`."""

    axes = 1


class MaxPool2d(MaxPool):
    """The largest value in each window of an image (B, C, H, W). The arguments are those of `MaxPool`."""

    axes = 2


class AvgPool(Positional):
    """Base of `AvgPool1d` and `AvgPool2d`: the mean of each window.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As for `MaxPool`.
    count_include_pad : bool
        Whether the padding counts as zeros; False: the mean is that of the cells that are there.

    Raises
    ------
    ValueError, TypeError
        As for `MaxPool`.
    """

    op = avg_pool

    def __init__(
        self,
        kernel_size: int | Sizes,
        stride: int | Sizes | None = None,
        padding: int | Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        window = pooling_window(self.axes, kernel_size, stride, padding, 1, ceil_mode)
        super().__init__((window, count_include_pad), least_size(window), describe(window))


class AvgPool1d(AvgPool):
    """The mean of each window of a sequence (B, C, L). The arguments are those of `AvgPool`."""

    axes = 1


class AvgPool2d(AvgPool):
    """The mean of each window of an image (B, C, H, W). The arguments are those of `AvgPool`."""

    axes = 2


class AdaptivePool(Positional):
    """Base of the adaptive pooling layers: an output of given size from an input of any.

    Parameters
    ----------
    output_size : int or tuple of int
        One number for all axes or one for each.

    Raises
    ------
    ValueError
        If that is no positive whole number.
    TypeError
        For an input that holds no floating-point numbers.
    """

    def __init__(self, output_size: int | Sizes):
        size = sizes("output_size", output_size, self.axes)
        super().__init__((list(size),), (1,) * self.axes, str(output_size))


class AdaptiveAvgPool1d(AdaptivePool):
    """A sequence (B, C, L) as `output_size` means: (B, C, output_size)."""

    op, axes = adaptive_avg_pool, 1


class AdaptiveAvgPool2d(AdaptivePool):
    """An image (B, C, H, W) as means over a grid of `output_size`: (B, C, *output_size)."""

    op, axes = adaptive_avg_pool, 2


class AdaptiveMaxPool1d(AdaptivePool):
    """A sequence (B, C, L) as `output_size` maxima: (B, C, output_size)."""

    op, axes = adaptive_max_pool, 1


class AdaptiveMaxPool2d(AdaptivePool):
    """An image (B, C, H, W) as maxima over a grid of `output_size`: (B, C, *output_size)."""

    op, axes = adaptive_max_pool, 2


def pooling_window(axes: int, kernel_size, stride, padding, dilation, ceil_mode: bool) -> Window:
    """The window of these arguments; ValueError if they do not fit one another."""
    kernel = sizes("kernel_size", kernel_size, axes)
    steps = sizes("stride", kernel if stride is None else stride, axes)
    around = sizes("padding", padding, axes, least=0)
    if any(2 * p > k for p, k in zip(around, kernel)):
        raise ValueError(f"expected padding of at most half the kernel_size {kernel}, given {around}")
    return Window(kernel, steps, around, sizes("dilation", dilation, axes), bool(ceil_mode))


def least_size(window: Window) -> Sizes:
    """The smallest image on which the window fits."""
    return tuple(max(1, r - 2 * p) for r, p in zip(window.reach, window.padding))


def describe(window: Window) -> str:
    """The window's arguments, for `repr`."""
    return f"{window.kernel}, stride={window.stride}, padding={window.padding}"
