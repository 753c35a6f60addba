"""Convolutions, pooling and padding: operations that slide a window over an image or a sequence.

A `Window` says where it goes. `gather` copies what it sees into patches; `scatter` is the transpose of that and hands the
gradient of each patch back to the cells it was read from. A convolution is these two and a matrix product.
Everything here takes one axis of positions (a sequence) or two (an image); the kernels see a sequence as an image of height 1.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, get_num_threads, summing_kernel
from deepnp.checks import check_floats, check_one_device, check_shape
from deepnp.dispatch import accelerated
from deepnp.threads import side_by_side

BLOCK_BYTES = 400_000  # of patches at once: they stay in a core's second-level cache
THREAD_COST = 50_000_000  # multiplications below which a second thread costs more than it saves

Sizes = tuple[int, ...]  # a number for each axis of positions


@dataclass(frozen=True)
class Window:
    """The shape of a window and how it moves; one number stands for the same on every axis.

    Parameters
    ----------
    kernel : tuple of int
        Taps along each axis.
    stride : int or tuple of int
        Cells from one position to the next.
    padding : int or tuple of int
        Cells added at either end.
    dilation : int or tuple of int
        Cells from one tap to the next.
    ceil : bool
        Whether a last position counts that begins inside and reaches beyond the far end; pooling only.
    """

    kernel: Sizes
    stride: int | Sizes = 1
    padding: int | Sizes = 0
    dilation: int | Sizes = 1
    ceil: bool = False

    def __post_init__(self):
        for name in ("stride", "padding", "dilation"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) * len(self.kernel) if isinstance(value, int) else tuple(value))

    @property
    def reach(self) -> Sizes:
        """Cells from the first tap to the last, both counted."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel))

    def out(self, size: Sizes) -> Sizes:
        """How many positions it takes on an image of this size."""
        return _extents(self, size)[0]

    def wide(self, size: Sizes) -> Sizes:
        """`size` with the padding at both ends, and with what the last position sees beyond that."""
        return _extents(self, size)[1]

    def check_positions(self, size: Sizes, out: Sizes) -> None:
        """Raise ValueError unless an image of this size, padded, has room for so many positions."""
        if len(size) == len(self.kernel) and out == self.out(size) and not self.ceil:
            return  # as many as fit
        if not len(size) == len(out) == len(self.kernel) or any(
            s * (n - 1) + r > m + 2 * p for n, s, r, m, p in zip(out, self.stride, self.reach, size, self.padding)
        ):
            raise ValueError(f"expected an image with room for {out} positions of {self}, given size {size}")

    def padded(self, x, fill=0.0) -> np.ndarray:
        """x (B, C, *size) -> (B, C, *wide): x with `fill` around it; x itself where there is no padding."""
        size = self.wide(x.shape[2:])
        if size == x.shape[2:]:
            return x
        wide = array_module(x).full((*x.shape[:2], *size), fill, x.dtype)
        wide[:, :, *self.inner(x.shape[2:])] = x
        return wide

    def inner(self, size: Sizes) -> tuple[slice, ...]:
        """Where an image of this size lies within its padding."""
        return tuple(slice(p, p + n) for n, p in zip(size, self.padding))

    def taps(self, out: Sizes) -> Iterator[tuple[Sizes, tuple[slice, ...]]]:
        """Each tap t, and the padded cells that it reads: position·stride + t·dilation, for all positions."""
        for tap in itertools.product(*map(range, self.kernel)):
            first = [t * d for t, d in zip(tap, self.dilation)]
            yield tap, tuple(slice(f, f + s * (n - 1) + 1, s) for f, s, n in zip(first, self.stride, out))


@lru_cache(maxsize=256)
def _extents(window: Window, size: Sizes) -> tuple[Sizes, Sizes]:
    """`Window.out` and `Window.wide`."""
    out, wide = [], []
    for n, p, reach, stride in zip(size, window.padding, window.reach, window.stride):
        room = n + 2 * p - reach
        positions = -(-room // stride) + 1 if window.ceil else room // stride + 1
        positions -= window.ceil and (positions - 1) * stride >= n + p  # the last one has to begin inside
        out.append(positions)
        wide.append(max(n + 2 * p, stride * (positions - 1) + reach))
    return tuple(out), tuple(wide)


def gather(x, window: Window, out: Sizes) -> np.ndarray:
    """x (B, C, *size) -> patches (C, *kernel, B, *out): what each tap reads at each position, 0 in the padding.

    The positions of all samples lie in one row, so that a convolution of them all is one matrix product.
    """
    patches, wide = _empty_patches(x, window, out), window.padded(x)
    for tap, cells in window.taps(out):
        patches[:, *tap] = wide[:, :, *cells].swapaxes(0, 1)
    return patches


def scatter(patches, window: Window, x) -> np.ndarray:
    """Add patches (C, *kernel, B, *out) to x (B, C, *size), in place, each value to the cell that `gather` reads it from; x."""
    wide = array_module(x).zeros((*x.shape[:2], *window.wide(x.shape[2:])), x.dtype)
    for tap, cells in window.taps(_positions(patches, window)):
        wide[:, :, *cells] += patches[:, *tap].swapaxes(0, 1)
    x += wide[:, :, *window.inner(x.shape[2:])]
    return x


def _empty_patches(x, window: Window, out: Sizes):
    return array_module(x).empty((x.shape[1], *window.kernel, x.shape[0], *out), x.dtype)


def _positions(patches, window: Window) -> Sizes:
    """*out of patches (C, *kernel, B, *out)."""
    return patches.shape[len(window.kernel) + 2 :]


def check_kernel(x, weight, bias, window: Window, groups: int, transposed: bool = False) -> None:
    """Raise ValueError unless a convolution's weight fits x, the window and the groups, and the bias fits the weight."""
    if x.ndim != 2 + len(window.kernel) or weight.ndim != x.ndim:
        raise ValueError(f"expected x and weight of {2 + len(window.kernel)} axes, given shapes {x.shape} and {weight.shape}")
    rows, columns = weight.shape[0], weight.shape[1] * groups
    inputs, outputs = (rows, columns) if transposed else (columns, rows)
    if x.shape[1] != inputs or weight.shape[2:] != window.kernel or rows % groups:
        raise ValueError(f"expected a weight for x {x.shape}, {window} and {groups} groups, given shape {weight.shape}")
    check_one_device(x, weight)
    if bias is not None:
        check_shape("bias", bias, (outputs,))


def check_image(x, window: Window) -> None:
    """Raise TypeError unless x holds floating-point numbers, ValueError unless it is (B, C, *size) and the window fits on it."""
    check_floats(x)
    if x.ndim != 2 + len(window.kernel) or min(window.out(x.shape[2:])) < 1:
        raise ValueError(f"expected x (B, C, *size) on which {window} fits, given shape {x.shape}")


def across(bias, window: Window) -> np.ndarray:
    """bias (O,) -> (O, 1, …), to be added to every cell."""
    return bias.reshape(-1, *[1] * len(window.kernel))


def over_threads(work: Callable[[slice], object], x, multiplications: int) -> list:
    """Results of `work` on x's samples, in one part for each thread where there is enough to do."""
    samples = x.shape[0]
    if not isinstance(x, np.ndarray) or samples < 2 or get_num_threads() == 1:
        return [work(slice(0, samples))]
    parts = min(get_num_threads(), samples) if multiplications > THREAD_COST else 1
    ends = [samples * i // parts for i in range(parts + 1)]
    return side_by_side(*(partial(work, slice(a, b)) for a, b in itertools.pairwise(ends)))


def blocks(samples: slice, x, taps: int) -> Iterator[slice]:
    """The samples in blocks whose patches, of so many cells a sample, fit the cache; on a GPU all at once."""
    length = samples.stop - samples.start
    if isinstance(x, np.ndarray):
        length = BLOCK_BYTES // (taps * x.itemsize)
    for start in range(samples.start, samples.stop, max(1, length)):
        yield slice(start, min(start + max(1, length), samples.stop))


def bins(cells: int, count: int) -> list[tuple[int, int]]:
    """(first, end) of each of `count` bins over an axis, which may overlap by a cell."""
    return [(p * cells // count, -(-(p + 1) * cells // count)) for p in range(count)]


def as_image(x) -> np.ndarray:
    """x (B, C, *size) as an image: a sequence gets height 1."""
    return x if x.ndim == 4 else x[:, :, None]


@lru_cache(maxsize=256)
def as_plane(out: Sizes, window: Window) -> tuple[int, ...]:
    """Positions, taps, stride, padding and dilation, each along the height and the width of an image: what kernels take."""
    settings = ((out, 1), (window.kernel, 1), (window.stride, 1), (window.padding, 0), (window.dilation, 1))
    return tuple(n for sizes, neutral in settings for n in ((neutral, *sizes) if len(sizes) == 1 else sizes))


def _check_gather(x, window: Window, out: Sizes) -> None:
    window.check_positions(x.shape[2:], out)


def _check_scatter(patches, window: Window, x) -> None:
    out = _positions(patches, window)
    window.check_positions(x.shape[2:], out)
    check_shape("patches", patches, (x.shape[1], *window.kernel, x.shape[0], *out))


def _gather_fast(x, window: Window, out: Sizes):
    patches = _empty_patches(x, window, out)
    _gather(as_image(x), patches.reshape(-1), *as_plane(out, window))
    return patches


def _scatter_fast(patches, window: Window, x):
    _scatter(as_image(x), patches.reshape(-1), *as_plane(_positions(patches, window), window))
    return x


@summing_kernel
def _gather(x, patches, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw):
    samples, channels, height, width = x.shape
    across = width + 2 * pw
    image, wide = x.reshape(-1), np.zeros((height + 2 * ph) * across, x.dtype)  # the border of `wide` stays 0
    for b in range(samples):
        for c in range(channels):
            plane = image[(b * channels + c) * height * width :]
            if ph > 0 or pw > 0:
                for h in range(height):
                    source, target = plane[h * width :], wide[(h + ph) * across + pw :]
                    for n in range(width):
                        target[n] = source[n]
                plane = wide
            for i in range(kh):
                for j in range(kw):
                    first = (((c * kh + i) * kw + j) * samples + b) * oh
                    for m in range(oh):
                        source = plane[(m * sh + i * dh) * across + j * dw :]
                        target = patches[(first + m) * ow : (first + m + 1) * ow]
                        if sw == 1:
                            for n in range(ow):
                                target[n] = source[n]
                        else:
                            for n in range(ow):
                                target[n] = source[n * sw]


@summing_kernel
def _scatter(x, patches, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw):
    samples, channels, height, width = x.shape
    across = width + 2 * pw
    image, wide = x.reshape(-1), np.empty((height + 2 * ph) * across, x.dtype)
    for b in range(samples):
        for c in range(channels):
            plane = image[(b * channels + c) * height * width :]
            if ph > 0 or pw > 0:
                wide[:] = 0
                plane = wide
            for i in range(kh):
                for j in range(kw):
                    first = (((c * kh + i) * kw + j) * samples + b) * oh
                    for m in range(oh):
                        source = patches[(first + m) * ow : (first + m + 1) * ow]
                        target = plane[(m * sh + i * dh) * across + j * dw :]
                        if sw == 1:
                            for n in range(ow):
                                target[n] += source[n]
                        else:
                            for n in range(ow):
                                target[n * sw] += source[n]
            if ph > 0 or pw > 0:
                plane = image[(b * channels + c) * height * width :]
                for h in range(height):
                    source, target = wide[(h + ph) * across + pw :], plane[h * width :]
                    for n in range(width):
                        target[n] += source[n]


def _gather_on_gpu(x, window: Window, out: Sizes):
    patches = _empty_patches(x, window, out)
    if patches.size:
        _gather_gpu(patches, x, *on_gpu(x, out, window), cells=patches.size // math.prod(window.kernel))
    return patches


def _scatter_on_gpu(patches, window: Window, x):
    if x.size:
        _scatter_gpu(x, patches, *on_gpu(x, _positions(patches, window), window))
    return x


def on_gpu(x, out: Sizes, window: Window) -> tuple[np.int32, ...]:
    """Samples and channels, height and width, and what `as_plane` tells: the numbers of PLANE."""
    return tuple(map(np.int32, (*as_image(x).shape, *as_plane(out, window))))


PLANE = "int samples, int channels, int height, int width, "
PLANE += "int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw"

_gather_gpu = gpu.Cells(
    f"T* patches, const T* x, {PLANE}",
    """
    const int m = row % oh, b = row / oh % samples, c = row / oh / samples;  // a thread for each position: its whole window
    x += (size_t(b) * channels + c) * height * width;
    patches += size_t(c) * kh * kw * samples * oh * ow + (size_t(b) * oh + m) * ow + j;
    for (int s = 0; s < kh; ++s) {
        for (int t = 0; t < kw; ++t) {
            const int h = m * sh + s * dh - ph, w = j * sw + t * dw - pw;
            const bool inside = h >= 0 && h < height && w >= 0 && w < width;
            *patches = inside ? x[size_t(h) * width + w] : T(0);
            patches += size_t(samples) * oh * ow;
        }
    }
    """,
    "gather",
)

_scatter_gpu = gpu.Cells(
    f"T* x, const T* patches, {PLANE}",
    """
    const int h = row % height, c = row / height % channels, b = row / height / channels;  // a thread for each cell of x
    patches += size_t(c) * kh * kw * samples * oh * ow + size_t(b) * oh * ow;
    T total = 0;
    for (int s = 0; s < kh; ++s) {
        for (int t = 0; t < kw; ++t) {
            const int up = h + ph - s * dh, left = j + pw - t * dw, m = up / sh, n = left / sw;
            const bool seen = up >= 0 && left >= 0 && m * sh == up && n * sw == left && m < oh && n < ow;
            if (seen) total += patches[size_t(m) * ow + n];
            patches += size_t(samples) * oh * ow;
        }
    }
    x[cell] += total;
    """,
    "scatter",
)

gather = accelerated(gather, cpu=_gather_fast, gpu=_gather_on_gpu, check=_check_gather)
scatter = accelerated(scatter, cpu=_scatter_fast, gpu=_scatter_on_gpu, check=_check_scatter)
