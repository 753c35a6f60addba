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
    """How often the window fits, by trying."""
    fits = []
    for n, k, s, p, d in zip(size, window.kernel, window.stride, window.padding, window.dilation, strict=True):
        fits.append(sum(start + d * (k - 1) < n + 2 * p for start in range(0, n + 2 * p, s)))
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


def avg_pool(x, window):
    def one(b, c, position):
        return sum(value or 0.0 for _, value in seen(x, b, c, position, window)) / math.prod(window.kernel)

    return everywhere(x, x.shape[1], out_size(x.shape[2:], window), one)


def adaptive_avg_pool(x, size):
    def one(b, c, position):
        bins = [
            range(math.floor(p * n / bins), math.ceil((p + 1) * n / bins))
            for p, n, bins in zip(position, x.shape[2:], size, strict=True)
        ]
        values = [float(x[b, c, *place]) for place in itertools.product(*bins)]
        return sum(values) / len(values)

    return everywhere(x, x.shape[1], size, one)


def padded(x, padding, source):
    """source maps a place along one axis of n cells, which may lie beyond the border, to one within."""
    size = [a + n + b for n, (a, b) in zip(x.shape[2:], padding, strict=True)]

    def one(b, c, position):
        place = [source(m - a, n) for m, n, (a, _) in zip(position, x.shape[2:], padding, strict=True)]
        return cell(x, b, c, place) or 0.0

    return everywhere(x, x.shape[1], size, one)


def reflected(m, n):
    return -m if m < 0 else 2 * (n - 1) - m if m >= n else m


REFERENCES = {
    "convolution.conv": conv,
    "convolution.fft_conv": conv,
    "convolution.conv_transpose": conv_transpose,
    "convolution.max_pool": max_pool,
    "convolution.avg_pool": avg_pool,
    "convolution.adaptive_avg_pool": adaptive_avg_pool,
    "convolution.zero_pad": lambda x, padding: padded(x, padding, lambda m, n: m),
    "convolution.reflection_pad": lambda x, padding: padded(x, padding, reflected),
}
