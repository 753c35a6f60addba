"""Convolution layers."""

import math
from types import ModuleType
from typing import NamedTuple

import numpy as np

from deepnp.initializers import Initializer, kaiming_uniform, zeros
from deepnp.layers.padding import (
    CircularPad1d,
    CircularPad2d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReplicationPad1d,
    ReplicationPad2d,
    ZeroPad1d,
    ZeroPad2d,
    check_image,
    sizes,
)
from deepnp.module import Module, zeros_if_none
from deepnp.ops.convolution import Sizes, Window, conv, conv_transpose, fft_conv
from deepnp.parameters import Parameter

__all__ = ["Conv", "Conv1d", "Conv2d", "ConvTranspose", "ConvTranspose1d", "ConvTranspose2d"]

PADS = {  # for sequences, for images
    "zeros": (ZeroPad1d, ZeroPad2d),
    "reflect": (ReflectionPad1d, ReflectionPad2d),
    "replicate": (ReplicationPad1d, ReplicationPad2d),
    "circular": (CircularPad1d, CircularPad2d),
}
FFT_TAPS = 32  # for each axis of positions: see Conv.choose
FFT_CELLS = 2**24  # of a kernel's spectrum, which is as large as the image: 64 MiB in float32


class Kept(NamedTuple):
    """What `Conv.forward` keeps."""

    op: ModuleType
    cache: tuple  # the operation's
    x: object  # its input, with its padding where that is a layer's


class Conv(Module):
    """Base of `Conv1d` and `Conv2d`: convolution over one axis of positions or two.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of x and of y.
    kernel_size, stride, dilation : int or tuple of int
        One number for all axes or one for each.
    padding : int, tuple of int, "same" or "valid"
        Cells at either end; "same" keeps the size (stride 1 only; the odd cell goes to the end), "valid" is 0.
    groups : int
        Divides both channel counts; each group of outputs sees its group of inputs. `in_channels` of them: depthwise.
    bias : bool
        Whether to add β, at first zeros.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What stands in the padding.
    weight : Initializer
        Called as `initializer(shape, rng)`; Kaiming-uniform for ReLU by default.
    rng : numpy.random.Generator or None
        Source of the initial weights; None draws fresh entropy.
    dtype
        float32 by default.

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels/groups, *kernel_size)
    bias : Parameter (out_channels,) or None

    Raises
    ------
    ValueError
        For arguments that do not fit one another, and for an input with other channels or smaller than the window.
    TypeError
        For an input that holds no floating-point numbers.
    """

    axes: int  # of positions: 1 for sequences, 2 for images

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: int | Sizes | str = 0,
        dilation: int | Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        weight: Initializer = kaiming_uniform,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        check_channels(in_channels, out_channels, groups)
        if padding_mode not in PADS:
            raise ValueError(f"expected padding_mode to be one of {sorted(PADS)}, given {padding_mode!r}")
        kernel, steps = sizes("kernel_size", kernel_size, self.axes), sizes("stride", stride, self.axes)
        window = Window(kernel, steps, 0, sizes("dilation", dilation, self.axes))
        pairs = padding_pairs(padding, window)
        self.in_channels, self.groups, self.pairs, self.padding_mode = in_channels, groups, pairs, padding_mode
        self.window, self._pad = window, None
        self.least = tuple(max(1, r - a - b) for r, (a, b) in zip(window.reach, pairs))
        if padding_mode == "zeros" and all(a == b for a, b in pairs):
            self.window = Window(kernel, steps, tuple(a for a, _ in pairs), window.dilation)
        else:
            self._pad = PADS[padding_mode][self.axes - 1](tuple(n for pair in reversed(pairs) for n in pair))
            self.least = tuple(map(max, self.least, self._pad.least))
        self.weight = new_weight((out_channels, in_channels // groups, *kernel), weight, rng, dtype)
        self.bias = Parameter(zeros((out_channels,)).astype(dtype)) if bias else None
        self._cache = None

    def forward(self, x) -> np.ndarray:
        check_image(x, self.least, self.in_channels)
        x = self._pad.forward(x) if self._pad else x
        op = self.choose(x.shape[2:])
        y, cache = self._run(op, x)
        self._cache = Kept(op, cache, x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        op, cache, _ = self.cache
        if params:
            add_gradients(self, *op.backward_parameters(dy, cache))
        if not inputs:
            return None
        dx = op.backward_input(dy, cache)
        return self._pad.backward(dx) if self._pad else dx

    def _tangent(self, v, vx):
        op, cache, x = self.cache
        vx = self._pad.tangent(v, vx) if self._pad else vx
        return op.jvp(zeros_if_none(vx, x), *(v[p] for p in self.parameters()), cache)

    def predict(self, x) -> np.ndarray:
        check_image(x, self.least, self.in_channels)
        x = self._pad.predict(x) if self._pad else x
        return self._run(self.choose(x.shape[2:]), x)[0]

    def choose(self, size: Sizes) -> ModuleType:
        """The operation for images of this size: `fft_conv` where it is the faster of the two, else `conv`.

        Forward + backward, float32, one thread, time of `conv` over that of `fft_conv`: 28 × 28 images with 4, 16, 64
        channels 0.5 (5 × 5 taps), 0.9–1.8 (7 × 7), 1.8–3.4 (9 × 9), 3.5–6.8 (15 × 15); 64 × 64, 3 → 16: 0.9 (9 × 9), 2.5 (15 × 15);
        sequences of 512: 0.7 (15 taps), 1.2–1.4 (31), 2.0–3.2 (63), 3.7–6.2 (127). A stride saves `conv` work and `fft_conv` none.
        """
        taps = math.prod(self.window.kernel)
        spectrum = self.weight.data.size // taps * math.prod(self.window.wide(size))
        large = taps >= FFT_TAPS * len(size) * math.prod(self.window.stride)
        return fft_conv if large and spectrum <= FFT_CELLS else conv

    def _run(self, op, x):
        return op.forward(x, self.weight.data, self.bias and self.bias.data, self.window, self.groups)

    def __repr__(self) -> str:
        w = self.window
        channels = f"{self.in_channels}, {self.weight.shape[0]}"
        return f"{type(self).__name__}({channels}, {w.kernel}, stride={w.stride}, padding={self.pairs})"


class Conv1d(Conv):
    """Convolution of sequences (B, C, L). The arguments are those of `Conv`."""

    axes = 1


class Conv2d(Conv):
    """Convolution of images (B, C, H, W). The arguments are those of `Conv`."""

    axes = 2


class ConvTranspose(Module):
    """Base of `ConvTranspose1d` and `ConvTranspose2d`: transposed convolution over one axis of positions or two.

    Parameters
    ----------
    output_padding : int or tuple of int
        Cells more at the end of y, fewer than the stride or the dilation.
    in_channels, out_channels, kernel_size, stride, padding, groups, bias, dilation, weight, rng, dtype
        As for `Conv`; `padding` takes cells away from both ends of y.

    Attributes
    ----------
    weight : Parameter (in_channels, out_channels/groups, *kernel_size)
    bias : Parameter (out_channels,) or None

    Raises
    ------
    ValueError
        For arguments that do not fit one another, and for an input with other channels or of which nothing would be left.
    TypeError
        For an input that holds no floating-point numbers.
    """

    axes: int  # of positions: 1 for sequences, 2 for images

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: int | Sizes = 0,
        output_padding: int | Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sizes = 1,
        *,
        weight: Initializer = kaiming_uniform,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        check_channels(in_channels, out_channels, groups)
        kernel, padding = sizes("kernel_size", kernel_size, self.axes), sizes("padding", padding, self.axes, least=0)
        window = Window(kernel, sizes("stride", stride, self.axes), padding, sizes("dilation", dilation, self.axes))
        extra = sizes("output_padding", output_padding, self.axes, least=0)
        if any(e >= max(s, d) for e, s, d in zip(extra, window.stride, window.dilation)):
            raise ValueError(f"expected output_padding below stride {window.stride} or dilation {window.dilation}, given {extra}")
        self.in_channels, self.groups, self.window, self.output_padding = in_channels, groups, window, list(extra)
        fixed = conv_transpose.out_size(
            (1,) * self.axes, window, self.output_padding
        )  # y of one cell; each cell more adds a stride
        self.least = tuple(1 + max(0, -((n - 1) // s)) for n, s in zip(fixed, window.stride))
        self.weight = new_weight((in_channels, out_channels // groups, *kernel), weight, rng, dtype)
        self.bias = Parameter(zeros((out_channels,)).astype(dtype)) if bias else None
        self._cache = None

    def forward(self, x) -> np.ndarray:
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        if params:
            add_gradients(self, *conv_transpose.backward_parameters(dy, self.cache))
        return conv_transpose.backward_input(dy, self.cache) if inputs else None

    def _tangent(self, v, vx):
        return conv_transpose.jvp(zeros_if_none(vx, self.cache.x), *(v[p] for p in self.parameters()), self.cache)

    def predict(self, x) -> np.ndarray:
        return self._run(x)[0]

    def _run(self, x):
        check_image(x, self.least, self.in_channels)
        bias = self.bias and self.bias.data
        return conv_transpose.forward(x, self.weight.data, bias, self.window, self.groups, self.output_padding)

    def __repr__(self) -> str:
        w, outputs = self.window, self.weight.shape[1] * self.groups
        return f"{type(self).__name__}({self.in_channels}, {outputs}, {w.kernel}, stride={w.stride}, padding={w.padding})"


class ConvTranspose1d(ConvTranspose):
    """Transposed convolution of sequences (B, C, L). The arguments are those of `ConvTranspose`."""

    axes = 1


class ConvTranspose2d(ConvTranspose):
    """Transposed convolution of images (B, C, H, W). The arguments are those of `ConvTranspose`."""

    axes = 2


def check_channels(in_channels: int, out_channels: int, groups: int) -> None:
    """Raise ValueError unless all are positive and groups divides both channel counts."""
    for name, size in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
        if size != int(size) or size < 1:
            raise ValueError(f"expected a positive {name}, given {size}")
    if in_channels % groups or out_channels % groups:
        raise ValueError(f"expected groups that divide in_channels {in_channels} and out_channels {out_channels}, given {groups}")


def padding_pairs(padding: int | Sizes | str, window: Window) -> list[Sizes]:
    """(before, after) for each axis."""
    axes = len(window.kernel)
    if padding == "same":
        if max(window.stride) > 1:
            raise ValueError(f'expected stride 1 with padding "same", given {window.stride}')
        return [((r - 1) // 2, r - 1 - (r - 1) // 2) for r in window.reach]
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f'expected padding to be numbers, "same" or "valid", given {padding!r}')
    return [(p, p) for p in sizes("padding", 0 if padding == "valid" else padding, axes, least=0)]


def new_weight(shape: Sizes, weight: Initializer, rng: np.random.Generator | None, dtype) -> Parameter:
    """A kernel at its initial values."""
    return Parameter(weight(shape, rng or np.random.default_rng()).astype(dtype))


def add_gradients(layer: Module, dweight, dbias=None) -> None:
    """Add to the gradients of the layer's weight, and of its bias if it has one."""
    layer.weight.grad += dweight
    if dbias is not None:
        layer.bias.grad += dbias
