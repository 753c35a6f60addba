"""Plain references of deepnp.ops.convolution: every output cell by itself, from the definition."""

import itertools
import math

import numpy as np


def cell(x, b, c, place):
    """x at a place, or None beyond the border."""
    return float(x[b, c, *place]) if all(0 <= p < n for p, n in zip(place, x.shape[2:], strict=True)) else None


def seen(x, b, c, position, window):
    """What a window sees at a position: tap -> value, or None in the padding."""
    for tap in itertools.product(*map(range, window.kernel)):
        moves = zip(position, window.stride, tap, window.dilation, window.padding, strict=True)
        yield tap, cell(x, b, c, [n * s + t * d - p for n, s, t, d, p in moves])


def out_size(size, window):
    """How often the window fits, by trying; with ceil, also where it begins on or before the last cell and hangs over once."""
    fits = []
    for n, k, s, p, d in zip(size, window.kernel, window.stride, window.padding, window.dilation, strict=True):
        whole = [start for start in range(0, n + 2 * p, s) if start + d * (k - 1) < n + 2 * p]
        over = window.ceil and whole[-1] + d * (k - 1) < n + 2 * p - 1 and whole[-1] + s < n + p
        fits.append(len(whole) + over)
    return fits


def everywhere(x, channels, size, f):
    """An array (B, channels, *size) of f(b, c, position)."""
    y = np.zeros((len(x), channels, *size))
    for b, c, *position in np.ndindex(*y.shape):
        y[b, c, *position] = f(b, c, position)
    return y


def conv(x, weight, bias, window, groups=1):
    inputs, outputs = weight.shape[1], len(weight) // groups

    def one(b, o, position):
        total = 0.0 if bias is None else float(bias[o])
        for c in range(inputs):
            for tap, value in seen(x, b, o // outputs * inputs + c, position, window):
                total += float(weight[o, c, *tap]) * (value or 0.0)
        return total

    return everywhere(x, len(weight), out_size(x.shape[2:], window), one)


def conv_transpose(x, weight, bias, window, groups=1, output_padding=0):
    axes, outputs = len(window.kernel), weight.shape[1]
    extra = [output_padding] * axes if isinstance(output_padding, int) else output_padding
    size = []
    for i in range(axes):
        last = (x.shape[2 + i] - 1) * window.stride[i] + (window.kernel[i] - 1) * window.dilation[i] - window.padding[i]
        size.append(last + 1 - window.padding[i] + extra[i])
    y = everywhere(x, outputs * groups, size, lambda b, o, position: 0.0 if bias is None else float(bias[o]))
    for b, c, *position in np.ndindex(*x.shape):
        first = c // (x.shape[1] // groups) * outputs
        for o, *tap in np.ndindex(*weight.shape[1:]):
            moves = zip(position, window.stride, tap, window.dilation, window.padding, strict=True)
            place = [n * s + t * d - p for n, s, t, d, p in moves]
            if cell(y, b, first + o, place) is not None:
                y[b, first + o, *place] += float(x[b, c, *position]) * float(weight[c, o, *tap])
    return y


def max_pool(x, window):
    def one(b, c, position):
        return max(value for _, value in seen(x, b, c, position, window) if value is not None)

    return everywhere(x, x.shape[1], out_size(x.shape[2:], window), one)


def avg_pool(x, window, count_padding=True):
    def one(b, c, position):
        values = [value for _, value in seen(x, b, c, position, window) if value is not None]
        if not count_padding:
            return sum(values) / len(values)
        taps = 1
        for q, n, k, s, p in zip(position, x.shape[2:], window.kernel, window.stride, window.padding, strict=True):
            taps *= sum(q * s + t < n + 2 * p for t in range(k))
        return sum(values) / taps

    return everywhere(x, x.shape[1], out_size(x.shape[2:], window), one)


def adaptive(x, size, reduce):
    def one(b, c, position):
        bins = [
            range(math.floor(p * n / bins), math.ceil((p + 1) * n / bins))
            for p, n, bins in zip(position, x.shape[2:], size, strict=True)
        ]
        return reduce([float(x[b, c, *place]) for place in itertools.product(*bins)])

    return everywhere(x, x.shape[1], size, one)


def padded(x, padding, source):
    """source maps a place along one axis of n cells, which may lie beyond the border, to one within."""
    size = [a + n + b for n, (a, b) in zip(x.shape[2:], padding, strict=True)]

    def one(b, c, position):
        place = [source(m - a, n) for m, n, (a, _) in zip(position, x.shape[2:], padding, strict=True)]
        return cell(x, b, c, place) or 0.0

    return everywhere(x, x.shape[1], size, one)


def border_pad(x, padding, source):
    """By the sequence that goes on beyond both ends, counted out cell by cell."""

    def read(m, n):
        cells = list(range(n))
        endless = {
            "reflected": lambda: (cells + cells[-2:0:-1]) * 9 if n > 1 else cells * 9,
            "replicated": lambda: [0] * 9 * n + cells + [n - 1] * 9 * n,
            "circular": lambda: cells * 9,
        }[source.__name__]()
        return endless[m + 9 * n] if source.__name__ == "replicated" else endless[m % (len(endless) // 9)]

    return padded(x, padding, read)


REFERENCES = {
    "convolution.conv": conv,
    "convolution.fft_conv": conv,
    "convolution.conv_transpose": conv_transpose,
    "convolution.max_pool": max_pool,
    "convolution.avg_pool": avg_pool,
    "convolution.adaptive_avg_pool": lambda x, size: adaptive(x, size, lambda values: sum(values) / len(values)),
    "convolution.adaptive_max_pool": lambda x, size: adaptive(x, size, max),
    "convolution.zero_pad": lambda x, padding: padded(x, padding, lambda m, n: m),
    "convolution.border_pad": border_pad,
}
