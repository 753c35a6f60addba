"""Element-wise activations, and softmax.

Those whose derivative is a function of their own output (tanh, ReLU, sigmoid) also offer `add_bias` and
`backward_bias`, with which `ops.dense` fuses them into a linear map.
"""

from collections.abc import Callable

import numpy as np

from deepnp.backend import kernel_runs


def with_bias_gradient(backward: Callable, fused: Callable, dy, y):
    """dz = backward(dy, y) and dbias = Σ_b dz; in one pass over memory where the kernel `fused` may run.

    dy, y (B, C) -> dz (B, C), dbias (C,).
    """
    if not kernel_runs(dy, y):
        dz = backward(dy, y)
        return dz, dz.sum(axis=0)
    dz, dbias = np.empty_like(dy), np.zeros(dy.shape[1], dy.dtype)
    fused(dy, y, dz, dbias)
    return dz, dbias
