"""Attention: every query takes a mean of the values, weighted by how well their keys fit it.

Masks, in every operation here     `mask` is added to the scores (…, Lq, Lk): 0 where a query may look, −∞ where it must not, or any
                                   other constant, such as a penalty for distance. It has two axes at least and is broadcast, so
                                   (Lq, Lk) serves all heads and (B, 1, 1, Lk) hides keys from every query; no gradient flows to it.
                                   `causal=True` hides every key j > i from query i, without a mask.
Rows that see no key               give zeros, and no gradient flows through them.
"""

import math
from functools import partial
from itertools import pairwise

import numpy as np

from deepnp.backend import Kernel, array_module, get_num_threads, kernel_runs, side_by_side
from deepnp.blas import find_sgemm

careful_kernel = partial(Kernel, fastmath={"contract", "reassoc", "nsz"})  # sums in any order; −∞ and NaN are what they are


def padding_mask(padding, dtype=np.float32):
    """padding (B, Lk), True where a key is padding -> mask (B, 1, 1, Lk): −∞ there and 0 elsewhere."""
    xp = array_module(padding)
    return xp.where(padding, -xp.inf, 0.0).astype(dtype)[:, None, None, :]


def hide(scores, mask, causal, queries=0, keys=0):
    """Mask scores (…, rows, columns) in place. Their first row is query number `queries`, their first column key number `keys`."""
    xp, (rows, columns) = array_module(scores), scores.shape[-2:]
    if mask is not None:
        scores += part(mask, slice(queries, queries + rows), slice(keys, keys + columns))
    if causal:
        later = xp.arange(keys, keys + columns) > xp.arange(queries, queries + rows)[:, None]
        xp.copyto(scores, -xp.inf, where=later)


def part(mask, queries, keys):
    """The rows and columns of a mask that two slices name; an axis of length 1 serves all."""
    return mask[..., queries if mask.shape[-2] > 1 else slice(None), keys if mask.shape[-1] > 1 else slice(None)]


class Stack:
    """Matrices (…, rows, columns) for a kernel: where each lies in memory, and how far apart its rows are.

    So queries, keys and values may be views of one projection, and need not be copied head by head.

    Attributes
    ----------
    at : array of int64 (N,)
        Address of each matrix.
    step : int
        Numbers from one row to the next.
    """

    def __init__(self, x: np.ndarray):
        self.array = x if _rows_in_order(x) else x.copy()
        at = np.array(self.array.ctypes.data, np.int64)
        for size, stride in zip(x.shape[:-2], self.array.strides):
            at = np.add.outer(at, np.arange(size) * stride)
        self.at = at.ravel()
        self.step = self.array.strides[-2] // self.array.itemsize if x.shape[-2] > 1 else x.shape[-1]


def _rows_in_order(x) -> bool:
    """Whether each row is contiguous and the next row follows it, at once or later, as BLAS wants it."""
    return (x.shape[-1] == 1 or x.strides[-1] == x.itemsize) and (
        x.shape[-2] == 1 or (x.strides[-2] >= x.shape[-1] * x.itemsize and x.strides[-2] % x.itemsize == 0)
    )


def stack_mask(mask, leading, keys) -> tuple[np.ndarray, np.ndarray]:
    """A mask for a kernel: (M, 1 or Lq, Lk), and which of the M serves each of the N matrices of scores (*leading, Lq, Lk)."""
    if mask is None:
        mask = np.zeros((1, 1), np.float32)
    rows = np.ascontiguousarray(np.broadcast_to(mask, (*mask.shape[:-1], keys)), np.float32)
    which = np.arange(math.prod(mask.shape[:-2])).reshape(mask.shape[:-2])
    return rows.reshape(-1, *rows.shape[-2:]), np.broadcast_to(which, leading).ravel()


def room(x, columns):
    """An empty array (…, L, columns) that lies in memory as x (…, L, d) does: merging the heads of one needs no copy."""
    y = np.empty_like(x, shape=(*x.shape[:-1], columns))
    return y if _rows_in_order(y) else np.empty(y.shape, y.dtype)


def fast(*arrays) -> bool:
    """Whether the float32 kernels may run; how the arrays lie is no matter to them."""
    usual = all(type(x) is np.ndarray and x.dtype == np.float32 and x.size for x in arrays)
    return usual and kernel_runs(np.empty(0, np.float32)) and find_sgemm()[0] != 0


def written(out, gradients: tuple) -> tuple:
    """Gradients in the arrays that the caller brought, if it did."""
    if out is None:
        return gradients
    for given, gradient in zip(out, gradients, strict=True):
        given[...] = gradient
    return out


def for_all(count, work, run) -> None:
    """run(start, stop) over the heads 0 … count − 1, shared among the threads; `work` tells how much there is to do for each."""
    threads = min(get_num_threads(), count)
    ends = [count * i // threads for i in range(threads + 1)]
    side_by_side(*(lambda a=a, b=b: run(a, b) for a, b in pairwise(ends)), worthwhile=count * work > 1_000_000)


@partial(Kernel, fastmath={"contract", "nnan", "nsz"})
def scale_row(row, scale, mask):
    """row·scale + mask, in place -> the largest; a NaN may be skipped there, but stays in the row."""
    largest = np.float32(-np.inf)
    for j in range(len(row)):
        s = row[j] * scale + mask[j]
        row[j] = s
        largest = max(largest, s)
    return largest
