"""Attention: every query takes a mean of the values, weighted by how well their keys fit it.

Masks, in every operation here     `mask` is added to the scores (…, Lq, Lk): 0 where a query may look, −∞ where it must not, or any
                                   other constant, such as a penalty for distance. It has two axes at least and is broadcast, so
                                   (Lq, Lk) serves all heads and (B, 1, 1, Lk) hides keys from every query; no gradient flows to it.
                                   `causal=True` hides every key j > i from query i, without a mask.
Rows that see no key               give zeros, and no gradient flows through them.
"""

import inspect
import math
from collections.abc import Callable
from functools import partial, wraps

import numpy as np

from deepnp.backend import Kernel, array_module, get_num_threads, kernels_enabled
from deepnp.blas import find_sgemm
from deepnp.checks import check_floats, check_shape, check_tangent, check_upstream
from deepnp.threads import side_by_side

LARGE = 1e18  # a bound for the scores that kernels compute
careful_kernel = partial(Kernel, fastmath={"contract", "reassoc", "nsz"})  # sums in any order; −∞ and NaN are what they are


def check_inputs(q, k, v, mask) -> None:
    """Raise ValueError unless q, k, v and the mask fit one another, TypeError for what holds no floating-point numbers."""
    for name, x in (("q", q), ("k", k), ("v", v)):
        check_floats(x, name)
    leading = q.shape[:-2]
    if q.ndim < 2 or k.ndim != q.ndim or v.ndim != q.ndim:
        raise ValueError(f"expected q, k and v (…, L, columns) of equally many axes, given {q.shape}, {k.shape} and {v.shape}")
    check_shape("k", k, (*leading, k.shape[-2], q.shape[-1]))
    check_shape("v", v, (*leading, k.shape[-2], v.shape[-1]))
    if mask is None:
        return
    check_floats(mask, "a mask that is added")
    full = (*leading, q.shape[-2], k.shape[-2])
    fits = 2 <= mask.ndim <= len(full) and all(n in (1, m) for n, m in zip(mask.shape[::-1], full[::-1]))
    if not fits:
        raise ValueError(f"expected a mask that is broadcast to {full}, given shape {mask.shape}")


def check_backward(dy, cache, out=None) -> None:
    """Raise ValueError unless dy has y's shape, and the arrays of `out` those of q, k and v."""
    check_upstream(dy, (*cache.q.shape[:-1], cache.v.shape[-1]))
    for given, x in zip(out or (), (cache.q, cache.k, cache.v)):
        check_shape("an array for a gradient", given, x.shape)


def check_tangents(vq, vk, vv, cache) -> None:
    """Raise ValueError unless the tangents have the shapes of q, k and v."""
    for tangent, x in zip((vq, vk, vv), (cache.q, cache.k, cache.v)):
        check_tangent(tangent, x.shape)


def accelerated_forward(plain: Callable, cpu: Callable) -> Callable:
    """A `forward` with plain's signature that runs `cpu`, over the float32 kernels, where these may take q, k and v.

    As `deepnp.dispatch.accelerated`, but the arrays may lie in memory in any order: heads are views of one projection, and
    `Stacks` tells the kernels where each one is. Scores near the end of the number line are the plain form's: whether they
    overflow depends on the order of their terms, and a −∞ would hide a key.
    """
    signature = inspect.signature(plain)

    @wraps(plain)
    def chosen(*arguments, **settings):
        bound = signature.bind(*arguments, **settings)
        bound.apply_defaults()
        q, k, v, mask, *_ = bound.args
        check_inputs(q, k, v, mask)
        if not _single(q, k, v):
            return plain(*bound.args)
        if _moderate(q, k):
            y, cache = cpu(*bound.args)
            if np.isfinite(y).all():
                return y, cache
        y, cache = plain(*bound.args)
        return y, cache._replace(kernels=False)

    return chosen


def accelerated_backward(plain: Callable, cpu: Callable) -> Callable:
    """A `backward` with plain's signature that runs `cpu` where the kernels may take dy, and the plain form was not needed before.

    Where a gradient is not finite the plain form has the last word: kernels leave out what would be 0 times infinity.
    """

    @wraps(plain)
    def chosen(dy, cache, out=None):
        check_backward(dy, cache, out)
        if cache.kernels and _single(dy, cache.q, cache.k, cache.v):
            gradients = cpu(dy, cache, out)
            if all(np.isfinite(x).all() for x in gradients):
                return gradients
        return plain(dy, cache, out)

    return chosen


def _single(*arrays) -> bool:
    """Whether all are NumPy's, of float32, and not empty; and kernels are on, and BLAS is found."""
    usual = all(type(x) is np.ndarray and x.dtype == np.float32 and x.size for x in arrays)
    return usual and kernels_enabled() and find_sgemm()[0] != 0


def _moderate(q, k) -> bool:
    """Whether no score comes near the end of the number line: |⟨q_i, k_j⟩| ≤ ‖q‖‖k‖; False where there is a NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.prod(float(np.dot(row, row)) for row in (_whole(q), _whole(k))) < LARGE**2


def _whole(x):
    """All of x in one row; with it its neighbours, where x is a view of a projection that is not much larger."""
    base = x.base
    usual = type(base) is np.ndarray and base.dtype == x.dtype and base.flags.c_contiguous and base.size <= 4 * x.size
    return (base if usual else np.ascontiguousarray(x)).reshape(-1)


def padding_mask(padding, dtype=np.float32) -> np.ndarray:
    """padding (B, Lk), True where a key is padding -> mask (B, 1, 1, Lk): −∞ there and 0 elsewhere."""
    xp = array_module(padding)
    return xp.where(padding, -xp.inf, 0.0).astype(dtype)[:, None, None, :]


def hide(scores, mask, causal, queries=0, keys=0) -> None:
    """Mask scores (…, rows, columns) in place. Their first row is query number `queries`, their first column key number `keys`."""
    xp, (rows, columns) = array_module(scores), scores.shape[-2:]
    if mask is not None:
        scores += part(mask, slice(queries, queries + rows), slice(keys, keys + columns))
    if causal:
        later = xp.arange(keys, keys + columns) > xp.arange(queries, queries + rows)[:, None]
        xp.copyto(scores, -xp.inf, where=later)


def part(mask, queries, keys) -> np.ndarray:
    """The rows and columns of a mask that two slices name; an axis of length 1 serves all."""
    return mask[..., queries if mask.shape[-2] > 1 else slice(None), keys if mask.shape[-1] > 1 else slice(None)]


class Stacks:
    """Arrays of N matrices each, (…, rows, columns), for a kernel: where every matrix lies, and how far apart its rows are.

    So queries, keys and values may be views of one projection, and need not be copied head by head.

    Attributes
    ----------
    places : array of int64 (arrays, N)
        Addresses. They are good as long as this object lives.
    steps : tuple of int
        For each array, numbers from one row to the next.
    """

    def __init__(self, *arrays: np.ndarray):
        self.arrays = [x if rows_in_order(x) else x.copy() for x in arrays]
        self.places = np.array([_addresses(x) for x in self.arrays])
        self.steps = tuple(x.strides[-2] // x.itemsize if x.shape[-2] > 1 else x.shape[-1] for x in self.arrays)


def _addresses(x) -> np.ndarray:
    at = np.array(x.ctypes.data, np.int64)
    for size, stride in zip(x.shape[:-2], x.strides, strict=False):
        at = np.add.outer(at, np.arange(size) * stride)
    return at.ravel()


def rows_in_order(x) -> bool:
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


def room(x, columns) -> np.ndarray:
    """An empty array (…, L, columns) that lies in memory as x (…, L, d) does: merging the heads of one needs no copy."""
    y = np.empty_like(x, shape=(*x.shape[:-1], columns))
    return y if rows_in_order(y) else np.empty(y.shape, y.dtype)


def sizes(q, k, v) -> tuple[int, int, int, int]:
    """Lq, Lk, d, dv."""
    return q.shape[-2], k.shape[-2], q.shape[-1], v.shape[-1]


def gradients_room(q, k, v, out) -> tuple:
    """Where a kernel writes dq, dk and dv: into `out`, if BLAS can."""
    if out is not None and all(rows_in_order(x) and type(x) is np.ndarray and x.dtype == np.float32 for x in out):
        return tuple(out)
    return tuple(room(x, x.shape[-1]) for x in (q, k, v))


def written(out, gradients: tuple) -> tuple:
    """Gradients in the arrays that the caller brought, if it did."""
    if out is None:
        return gradients
    for given, gradient in zip(out, gradients, strict=True):
        if given is not gradient:
            given[...] = gradient
    return tuple(out)


def for_all(count, work, run) -> None:
    """run(slice) over the heads 0 … count − 1, shared among the threads; `work` tells how much there is to do for each."""
    threads = min(get_num_threads(), count)
    shares = [slice(count * i // threads, count * (i + 1) // threads) for i in range(threads)]
    side_by_side(*(partial(run, share) for share in shares), worthwhile=count * work > 1_000_000)


@partial(Kernel, fastmath={"contract", "nnan", "nsz"})
def scale_row(row, scale, mask) -> np.floating:
    """row·scale + mask, in place -> the largest; a NaN may be skipped there, but stays in the row.

    Kernels of other files hold a copy of this one: see `deepnp.elementary` on editing it.
    """
    largest = np.float32(-np.inf)
    for j in range(len(row)):
        s = row[j] * scale + mask[j]
        row[j] = s
        largest = max(largest, s)
    return largest
