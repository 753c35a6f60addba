"""Element-wise activations, softmax and gates.

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


def elementwise_runs(*arrays) -> bool:
    """Whether a kernel may walk through these arrays side by side: `kernel_runs`, and they are of one shape."""
    return kernel_runs(*arrays) and all(x.shape == arrays[0].shape for x in arrays)


def float32_runs(*arrays) -> bool:
    """`elementwise_runs` for a kernel that is written in float32 only."""
    return arrays[0].dtype == np.float32 and elementwise_runs(*arrays)


def elementwise(kernel: Callable, *arrays, settings: tuple[float, ...] = (), results: int = 1):
    """Run `kernel(*arrays, *settings, *results)` on the arrays as vectors, the settings in their dtype.

    -> what the kernel wrote into its results, in the arrays' shape: one array, or a tuple where there are several.
    """
    written = tuple(np.empty_like(arrays[0]) for _ in range(results))
    numbers = [arrays[0].dtype.type(s) for s in settings]
    kernel(*(x.reshape(-1) for x in arrays), *numbers, *(x.reshape(-1) for x in written))
    return written if results > 1 else written[0]
