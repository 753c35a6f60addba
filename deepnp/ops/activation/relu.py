"""Rectifier, element by element.                         B rows, C columns

Forward    y = max(x, 0)
Backward   dx = dy·1[x > 0]                               at the kink x = 0 ours is 0, as in PyTorch (the thesis prints 1)
Tangent    vy = f′·vx: the Jacobian is diagonal, so forward mode and backward are one product

y > 0 exactly where x > 0, so the output is all that backward needs.
Fused with a bias (see ops.dense):  y = max(z + b, 0),  dz = dy·1[y > 0],  db = Σ_b dz
"""

from deepnp import gpu
from deepnp.backend import array_module, kernel, kernel_runs, ordered_kernel
from deepnp.cases import Kinked
from deepnp.ops.activation import with_bias_gradient


def forward(x):
    """x (any shape) -> y of that shape."""
    y = array_module(x).maximum(x, 0)
    return y, y


def backward(dy, cache):
    """dy -> dx."""
    if gpu.elementwise_runs(dy, cache):
        return _backward_gpu(dy, cache)
    return dy * (cache > 0)


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


def add_bias(z, bias):
    """max(z + bias, 0), written into z: z (B, C), bias (C,)."""
    if kernel_runs(z, bias):
        _add_bias(z, bias)
        return z
    if gpu.elementwise_runs(z, bias):
        return _add_bias_gpu(bias, z)
    z += bias
    return array_module(z).maximum(z, 0, out=z)


def backward_bias(dy, y):
    """dy, y (B, C) -> dz (B, C), dbias (C,)."""
    return with_bias_gradient(backward, _backward_bias, dy, y)


@ordered_kernel
def _add_bias(z, bias):
    zero = z.dtype.type(0)
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            v = z[i, j] + bias[j]
            z[i, j] = zero if v <= zero else v  # NaN stays NaN


@kernel
def _backward_bias(dy, y, dz, dbias):
    zero = dy.dtype.type(0)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            d = dy[i, j] if y[i, j] > zero else zero
            dz[i, j] = d
            dbias[j] += d


_add_bias_gpu = gpu.Elementwise("T bias", "T z", "T v = z + bias; z = v <= 0 ? T(0) : v", "relu_add_bias")
_backward_gpu = gpu.Elementwise("T dy, T y", "T dx", "dx = y > 0 ? dy : T(0)", "relu_backward")


CASES = [dict(x=Kinked((5, 7), (0.0,))), dict(x=Kinked((8,), (0.0,))), dict(x=Kinked((2, 3, 4), (0.0,))), dict(x=(0, 4))]
