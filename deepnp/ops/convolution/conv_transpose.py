"""Transposed convolution.                  B samples, I channels in, O out, G groups of them

It is the backward pass of a convolution used as a forward pass: each input cell stamps the kernel, scaled by its value,
onto a larger image; stamps lie `stride` apart and are summed where they overlap.

Forward    y = Cᵀ x + β             C the convolution (ops.convolution.conv) with this window that maps y's shape to x's
                                    size = (n − 1)·stride − 2·padding + dilation·(kernel − 1) + 1 + output_padding
Backward   dx = C dy                the transpose of a transpose
           ⟨dy, Cᵀx⟩ = ⟨C dy, x⟩    read from the right, it is a convolution of dy with upstream gradient x:
           dW = dy's patches times x, as in conv, with the two roles exchanged
           dβ_o = Σ_bn dy_bon

Several sizes of y give one size of x where the stride is above 1; output_padding, below stride or dilation, chooses among them.
"""

from deepnp.ops.convolution import Window
from deepnp.ops.convolution.conv import bias_gradient, correlate, correlate_transposed, correlate_weight


def forward(x, weight, bias, window, groups=1, output_padding=0):
    """x (B, I, *size), weight (I, O/G, *kernel), bias (O,) or None -> y (B, O, *out)."""
    y = correlate_transposed(x, weight, window, groups, out_size(x.shape[2:], window, output_padding))
    if bias is not None:
        y += bias.reshape(-1, *[1] * len(window.kernel))
    return y, (x, weight, bias is not None, window, groups)


def backward(dy, cache):
    """dy (B, O, *out) -> dx (B, I, *size), dweight (I, O/G, *kernel), and dbias (O,) if there is a bias."""
    return backward_input(dy, cache), *backward_parameters(dy, cache)


def backward_input(dy, cache):
    """dy (B, O, *out) -> dx (B, I, *size), where the parameters' gradients are not wanted."""
    x, weight, _, window, groups = cache
    return correlate(dy, weight, None, window, groups, x.shape[2:])


def backward_parameters(dy, cache):
    """dy (B, O, *out) -> dweight (I, O/G, *kernel) and dbias (O,) if there is a bias, where dx is not wanted."""
    x, weight, has_bias, window, groups = cache
    dweight = correlate_weight(dy, x, weight.shape, window, groups)
    return (dweight, bias_gradient(dy)) if has_bias else (dweight,)


def out_size(size, window, output_padding=0):
    """Size of y for x of `size`; output_padding is one number, or one for each axis."""
    extra = [output_padding] * len(size) if isinstance(output_padding, int) else output_padding
    steps = zip(size, window.stride, window.padding, window.reach, extra)
    return tuple((n - 1) * s - 2 * p + r + e for n, s, p, r, e in steps)


CASES = [
    dict(x=(2, 3, 3, 4), weight=(3, 2, 3, 2), bias=(2,), window=Window((3, 2))),
    dict(x=(2, 4, 3, 2), weight=(4, 3, 3, 2), bias=(6,), window=Window((3, 2), (2, 3), (2, 1), (1, 2)), groups=2, output_padding=1),
    dict(x=(2, 3, 4, 4), weight=(3, 1, 3, 3), bias=None, window=Window((3, 3), padding=1), groups=3),
    dict(x=(3, 2, 5), weight=(2, 3, 4), bias=(3,), window=Window((4,), stride=2, padding=3, dilation=2)),
    dict(x=(2, 2, 3, 3), weight=(2, 2, 2, 2), bias=(2,), window=Window((2, 2), dilation=2), output_padding=[1, 0]),
    dict(x=(0, 2, 3, 3), weight=(2, 3, 3, 3), bias=(3,), window=Window((3, 3), stride=2)),
]
