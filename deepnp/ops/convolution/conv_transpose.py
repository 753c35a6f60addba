"""Transposed convolution.                  B samples, I channels in, O out, G groups of them

It is the backward pass of a convolution used as a forward pass: each input cell stamps the kernel, scaled by its value,
onto a larger image; stamps lie `stride` apart and are summed where they overlap.

Forward    y = Cᵀ x + β             C the convolution (ops.convolution.conv) with this window that maps y's shape to x's
                                    size = (n − 1)·stride − 2·padding + dilation·(kernel − 1) + 1 + output_padding
Backward   ⟨dy, Cᵀx⟩ = ⟨C dy, x⟩    what the gradients are the derivatives of, read two ways
           dx = C dy                by x: the transpose of a transpose
           dW = x Pᵀ                by W: on the right stands a convolution of dy with upstream gradient x, so conv's
                                    formula holds with the roles exchanged, P the patches of dy
           dβ_o = Σ_bn dy_bon       β_o is added to every cell of its channel
Tangent    vy = Cᵀ vx + vCᵀ x + vβ  the product rule; vC is the convolution with vW for its kernel

Several sizes of y give one size of x where the stride is above 1; output_padding, below stride or dilation, chooses among them.
"""

from typing import NamedTuple

import numpy as np

from deepnp.checks import check_tangent, check_upstream
from deepnp.ops.convolution import Sizes, Window, across, check_kernel
from deepnp.ops.convolution.conv import bias_gradient, correlate, correlate_transposed, correlate_weight


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    x: object  # (B, I, *size)
    weight: object  # (I, O/G, *kernel)
    has_bias: bool
    window: Window
    groups: int
    shape: Sizes  # of y


def forward(x, weight, bias, window, groups=1, output_padding=0) -> tuple[np.ndarray, Cache]:
    """x (B, I, *size), weight (I, O/G, *kernel), bias (O,) or None -> y (B, O, *out)."""
    check_kernel(x, weight, bias, window, groups, transposed=True)
    y = correlate_transposed(x, weight, window, groups, out_size(x.shape[2:], window, output_padding))
    if bias is not None:
        y += across(bias, window)
    return y, Cache(x, weight, bias is not None, window, groups, y.shape)


def backward(dy, cache) -> tuple[np.ndarray, ...]:
    """dy (B, O, *out) -> dx (B, I, *size), dweight (I, O/G, *kernel), and dbias (O,) if there is a bias."""
    return backward_input(dy, cache), *backward_parameters(dy, cache)


def backward_input(dy, cache) -> np.ndarray:
    """dy (B, O, *out) -> dx (B, I, *size), where the parameters' gradients are not wanted."""
    check_upstream(dy, cache.shape)
    return correlate(dy, cache.weight, None, cache.window, cache.groups, cache.x.shape[2:])


def backward_parameters(dy, cache) -> tuple[np.ndarray, ...]:
    """dy (B, O, *out) -> dweight (I, O/G, *kernel) and dbias (O,) if there is a bias, where dx is not wanted."""
    check_upstream(dy, cache.shape)
    dweight = correlate_weight(dy, cache.x, cache.weight.shape, cache.window, cache.groups)
    return (dweight, bias_gradient(dy)) if cache.has_bias else (dweight,)


def jvp(vx, vweight, *rest) -> np.ndarray:
    """Tangents vx (B, I, *size), vweight (I, O/G, *kernel), vbias (O,) if there is a bias, cache -> tangent of y."""
    *vbias, cache = rest
    check_tangent(vx, cache.x.shape)
    check_tangent(vweight, cache.weight.shape)
    settings = cache.window, cache.groups, cache.shape[2:]
    vy = correlate_transposed(vx, cache.weight, *settings) + correlate_transposed(cache.x, vweight, *settings)
    for v in vbias:
        check_tangent(v, cache.shape[1:2])
        vy += across(v, cache.window)
    return vy


def out_size(size, window, output_padding=0) -> tuple[int, ...]:
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
