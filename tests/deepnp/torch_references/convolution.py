"""deepnp.ops.convolution in PyTorch: its functions for sequences and for images have one signature."""

from torch.nn import functional as F


def conv(x, weight, bias, window, groups=1):
    f = F.conv1d if weight.ndim == 3 else F.conv2d
    return f(x, weight, bias, window.stride, window.padding, window.dilation, groups)


def conv_transpose(x, weight, bias, window, groups=1, output_padding=0):
    f = F.conv_transpose1d if weight.ndim == 3 else F.conv_transpose2d
    return f(x, weight, bias, window.stride, window.padding, output_padding, groups, window.dilation)


def max_pool(x, window):
    f = F.max_pool1d if x.ndim == 3 else F.max_pool2d
    return f(x, window.kernel, window.stride, window.padding, window.dilation, ceil_mode=window.ceil)


def avg_pool(x, window, count_padding=True):
    f = F.avg_pool1d if x.ndim == 3 else F.avg_pool2d
    return f(x, window.kernel, window.stride, window.padding, window.ceil, count_padding)


def adaptive_avg_pool(x, size):
    return (F.adaptive_avg_pool1d if x.ndim == 3 else F.adaptive_avg_pool2d)(x, size)


def adaptive_max_pool(x, size):
    return (F.adaptive_max_pool1d if x.ndim == 3 else F.adaptive_max_pool2d)(x, size)


MODES = {"reflected": "reflect", "replicated": "replicate", "circular": "circular"}


def pad(x, padding, mode):
    return F.pad(x, [n for pair in reversed(padding) for n in pair], mode)


TORCH = {
    "convolution.conv": conv,
    "convolution.fft_conv": conv,
    "convolution.conv_transpose": conv_transpose,
    "convolution.max_pool": max_pool,
    "convolution.avg_pool": avg_pool,
    "convolution.adaptive_avg_pool": adaptive_avg_pool,
    "convolution.zero_pad": lambda x, padding: pad(x, padding, "constant"),
    "convolution.adaptive_max_pool": adaptive_max_pool,
    "convolution.border_pad": lambda x, padding, source: pad(x, padding, MODES[source.__name__]),
}
ABSENT = {}
