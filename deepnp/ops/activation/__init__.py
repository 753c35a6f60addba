"""Element-wise activations, softmax and gates.

Those whose derivative is a function of their own output (tanh, ReLU, sigmoid), and the sine, also offer `add_bias`
and `backward_bias`, with which `ops.dense` fuses them into a linear map.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def elementwise(kernel: Callable, *arrays, settings: tuple[float, ...] = (), results: int = 1) -> Any:
    """Run `kernel(*arrays, *settings, *results)` on the arrays as vectors, the settings in their dtype.

    -> what the kernel wrote into its results, in the arrays' shape: one array, or a tuple where there are several.
    """
    written = tuple(np.empty_like(arrays[0]) for _ in range(results))
    numbers = [arrays[0].dtype.type(s) for s in settings]
    kernel(*(x.reshape(-1) for x in arrays), *numbers, *(x.reshape(-1) for x in written))
    return written if results > 1 else written[0]


def bias_gradient(kernel: Callable, dy, kept) -> tuple[np.ndarray, np.ndarray]:
    """Run `kernel(dy, kept, dz, dbias)`: dy and what the activation keeps, y or z, (B, C) -> dz (B, C), dbias (C,)."""
    dz, dbias = np.empty_like(dy), np.zeros(dy.shape[1], dy.dtype)
    kernel(dy, kept, dz, dbias)
    return dz, dbias


def check_bias(z, bias) -> None:
    """Raise ValueError unless bias (C,) fits z (B, C)."""
    if z.ndim != 2 or bias.shape != z.shape[1:]:
        raise ValueError(f"expected z of shape (B, C) and a bias of shape (C,), given {z.shape} and {bias.shape}")


def check_rows(x) -> None:
    """Raise ValueError unless x has a last axis."""
    if x.ndim == 0:
        raise ValueError("expected input of shape (…, C), given a number")
