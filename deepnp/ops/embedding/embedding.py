"""Embedding: a row of a table for every index.      V rows of the table, D channels, N indices (any shape)

Forward    y_n = W_{k_n}
Backward   ∂y_n/∂W_v is the identity where k_n = v, and 0 elsewhere, so
           dW_v = Σ_{n: k_n = v} dy_n           a row is read once for every index that names it: the gradients add up
Tangent    vy_n = vW_{k_n}

The same as a linear map of one-hot rows, without the rows. Indices are whole numbers: nothing flows to them.
"""

from typing import NamedTuple

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, summing_kernel
from deepnp.cases import Integers
from deepnp.checks import check_array, check_shape, check_tangent
from deepnp.dispatch import accelerated


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    indices: np.ndarray  # any shape
    weight: np.ndarray  # (V, D)


def forward(indices, weight) -> tuple[np.ndarray, Cache]:
    """indices (any shape) of integers, weight (V, D) -> y (…, D)."""
    check_indices(indices, len(weight))
    return weight[indices], Cache(indices, weight)


def backward(dy, cache) -> np.ndarray:
    """dy (…, D) -> dweight (V, D)."""
    return accumulate(dy, cache.indices, array_module(cache.weight).zeros_like(cache.weight, order="C"))


def jvp(vweight, cache) -> np.ndarray:
    """Tangent vweight (V, D) -> tangent of y (…, D)."""
    check_tangent(vweight, cache.weight.shape)
    return vweight[cache.indices]


def accumulate(dy, indices, dweight) -> np.ndarray:
    """Add the gradient to dweight (V, D), in place: dy (…, D), indices (…) -> dweight."""
    array_module(dweight).add.at(dweight, indices, dy)  # += would count a repeated index once
    return dweight


def check_indices(indices, rows: int) -> None:
    """Raise TypeError unless the indices are whole numbers, ValueError unless they name one of so many rows."""
    check_array(indices, "indices", "numpy.asarray(…, numpy.int64)")
    if indices.dtype.kind not in "iu":
        raise TypeError(f"expected whole numbers as indices, given {indices.dtype}")
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < rows:
        raise ValueError(f"expected indices from 0 to {rows - 1}, given {int(indices.min())} to {int(indices.max())}")


def _check_accumulate(dy, indices, dweight) -> None:
    check_shape("dy, shaped as y,", dy, (*indices.shape, dweight.shape[1]))
    check_indices(indices, len(dweight))  # the caller may have written to them since


def _accumulate_fast(dy, indices, dweight):
    _accumulate(dy.reshape(-1, dy.shape[-1]), indices.reshape(-1), dweight)
    return dweight


@summing_kernel
def _accumulate(dy, indices, dweight):
    for n in range(len(indices)):
        row = indices[n]
        for j in range(dy.shape[1]):
            dweight[row, j] += dy[n, j]


def _accumulate_on_gpu(dy, indices, dweight):
    if not gpu.rows_run(dweight, dy):
        return None
    xp, flat = array_module(dweight), indices.reshape(-1).astype(np.int64, copy=False)
    order = xp.argsort(flat)
    first = xp.searchsorted(flat[order], xp.arange(len(dweight) + 1, dtype=flat.dtype))
    _accumulate_gpu(dweight, dy, order, first)
    return dweight


_accumulate_gpu = gpu.Cells(  # CuPy's add.at is as fast, but adds in an order that nobody knows: other bits every time
    "T* dweight, const T* dy, const long long* order, const long long* first",
    """
    T total = 0;
    for (long long n = first[row]; n < first[row + 1]; ++n) total += dy[order[n] * columns + j];
    dweight[cell] += total;
    """,
    "embedding_backward",
)

accumulate = accelerated(accumulate, cpu=_accumulate_fast, gpu=_accumulate_on_gpu, check=_check_accumulate)

CASES = [
    dict(indices=Integers((2, 5), 4), weight=(4, 3)),
    dict(indices=Integers((6,), 2), weight=(9, 1)),
    dict(indices=Integers((), 4), weight=(4, 3)),
    dict(indices=Integers((0, 5), 4), weight=(4, 3)),
    dict(indices=Integers((0,), 1), weight=(0, 3)),
]
