"""Losses of decisions between many classes.                  B rows (every leading axis), C classes

Targets are integer labels (B), or distributions (B, C) of floats. Labels become distributions too: with one-hot t,
smoothing s and class weights w,

    q_bc = w_c ((1 − s) t_bc + s/C)/N        N = Σ_b w_label(b) for labels, the number of rows for distributions

as in PyTorch, whose mean over labels is a weighted one. With `mask`, Boolean (B), only the rows that are True exist.
"""

import math

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module, kernel, kernel_runs, summing_kernel
from deepnp.cases import Booleans, Integers, Uniform
from deepnp.checks import check_array, check_one_device
from deepnp.losses.checks import check_labels, check_not_empty, check_range
from deepnp.losses.masks import kept, spread


def cross_entropy(logits, target, weight=None, *, label_smoothing=0.0, ignore_index=None, mask=None) -> tuple[float, np.ndarray]:
    """Cross-entropy of logits z against labels or distributions.

    Forward    L = −Σ_bc q_bc ln p_bc        ln p_bc = z_bc − max_c z_b − ln Σ_c e^(z_bc − max_c z_b)
    Backward   dz_bc = p_bc Σ_k q_bk − q_bc                   ∂ln p_k/∂z_c = δ_kc − p_c: each logit also lowers all others

    logits (B…, C), target (B…) integers in [0, C) or (B…, C) floats in [0, 1] -> value, dlogits (B…, C).

    weight : array (C,), optional
        w, at least 0.
    label_smoothing : float
        s in [0, 1].
    ignore_index : int, optional
        Rows with this label do not count, as with a mask. PyTorch's default is −100; ours is that every row counts.
    mask : Boolean array (B…), optional
        Rows that count; what the others hold is not read.
    """
    check_targets(logits, target, weight, label_smoothing)
    if ignore_index is not None:
        mask = without(ignore_index, target, mask)
    if mask is not None:
        logits, target = kept(mask, logits, target)
        value, dlogits = cross_entropy(logits, target, weight, label_smoothing=label_smoothing)
        return value, spread(dlogits, mask)
    fast = logits.dtype == np.float32 and kernel_runs(logits)
    if target.dtype.kind != "f" and weight is None and label_smoothing == 0:
        if fast:
            return _from_labels(logits, target)
        if gpu.rows_run(logits):
            return _from_labels_on_gpu(logits, target)
    xp, q = array_module(logits), distribution(logits, target, weight, label_smoothing)
    if fast:
        return _from_distribution(logits, q)
    z = logits - logits.max(axis=-1, keepdims=True)
    e = xp.exp(z)
    total = e.sum(axis=-1, keepdims=True)
    log_p = xp.where(q > 0, z - xp.log(total), 0)  # a class that is ruled out by a logit of −∞ may have q = 0
    return float(-(q * log_p).sum()), e * (q.sum(axis=-1, keepdims=True) / total) - q


def cross_entropy_probabilities(p, target, weight=None, *, label_smoothing=0.0, eps=1e-12, mask=None) -> tuple[float, np.ndarray]:
    """Cross-entropy of probabilities. From logits, `cross_entropy` is more exact.

    Forward    L = −Σ_bc q_bc ln(p_bc + ε)
    Backward   dp = −q/(p + ε)                                the softmax that made p has its own backward

    p (B…, C) in [0, 1]; the other arguments as in `cross_entropy` -> value, dp (B…, C).
    """
    check_targets(p, target, weight, label_smoothing)
    if mask is not None:
        p, target = kept(mask, p, target)
        value, dp = cross_entropy_probabilities(p, target, weight, label_smoothing=label_smoothing, eps=eps)
        return value, spread(dp, mask)
    check_range(p, 0, 1, "probabilities")
    q = distribution(p, target, weight, label_smoothing)
    shifted = p + float(eps)
    return float(-(q * array_module(p).log(shifted)).sum()), -q / shifted


def without(ignore_index, target, mask) -> np.ndarray:
    """The mask of the rows whose label is another, of those that `mask` keeps."""
    if target.dtype.kind == "f":
        raise ValueError("expected integer labels with ignore_index, given distributions: use mask")
    counted = target != ignore_index
    return counted if mask is None else counted & mask


def distribution(y, target, weight, label_smoothing) -> np.ndarray:
    """q (B…, C) of y's type, from the labels or distributions `target`: see the top of this file."""
    xp, classes = array_module(y), y.shape[-1]
    if target.dtype.kind == "f":
        check_range(target, 0, 1, "target probabilities")
        q, n = target.astype(y.dtype, copy=False), target.size // classes
    else:
        check_labels(target, classes)
        q = (target[..., None] == xp.arange(classes)).astype(y.dtype)
        n = target.size if weight is None else float(weight[target].sum())
        if n == 0:
            raise ValueError("expected a label with a weight above 0, given none")
    smoothing = float(label_smoothing)
    q = (1 - smoothing) * q + smoothing / classes
    return q * (1 / n) if weight is None else q * (weight.astype(y.dtype, copy=False) * (1 / n))


def check_targets(y, target, weight, label_smoothing) -> None:
    """Raise unless shapes and types fit; the values are looked at once the masked ones are gone."""
    check_not_empty(y)
    check_array(target, "target", "numpy.asarray(…, numpy.int64)")
    check_one_device(y, target, weight)
    kind, shape = target.dtype.kind, target.shape
    if not ((kind in "iu" and shape == y.shape[:-1]) or (kind == "f" and shape == y.shape)):
        error = TypeError if kind not in "iuf" or shape == y.shape[:-1] else ValueError
        raise error(
            f"expected integer labels of shape {y.shape[:-1]} or floats of shape {y.shape}, given {target.dtype} of shape {shape}"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"expected label_smoothing in [0, 1], given {label_smoothing}")
    if weight is not None:
        check_array(weight, "weight")
        if weight.shape != y.shape[-1:]:
            raise ValueError(f"expected a weight of shape {y.shape[-1:]}, one a class, given {weight.shape}")
        check_range(weight, 0, math.inf, "class weights")


def _from_labels(logits, labels):
    rows, dlogits = logits.reshape(-1, logits.shape[-1]), np.empty_like(logits)
    check_labels(labels, rows.shape[1])
    total = _label_kernel(rows, labels.astype(np.int64, copy=False).reshape(-1), dlogits.reshape(rows.shape))
    return float(total) / len(rows), dlogits


def _from_distribution(logits, q):
    shape, dlogits = (-1, logits.shape[-1]), np.empty_like(logits)
    return float(_distribution_kernel(logits.reshape(shape), q.reshape(shape), dlogits.reshape(shape))), dlogits


@kernel
def _max(row):
    largest = row[0]
    for j in range(len(row)):
        largest = max(largest, row[j])
    return largest


@summing_kernel
def _exponentials(z, largest, out):
    """e^(z − largest) into out, and their sum."""
    total = np.float32(0)
    for j in range(len(z)):
        e = elementary.exp(z[j] - largest)
        out[j] = e
        total += e
    return total


@summing_kernel
def _label_kernel(z, labels, dz):
    loss, share = 0.0, np.float32(1.0 / z.shape[0])
    for i in range(z.shape[0]):
        largest = _max(z[i])
        total = _exponentials(z[i], largest, dz[i])
        loss += math.log(total) - (z[i, labels[i]] - largest)
        scale = share / total
        for j in range(z.shape[1]):
            dz[i, j] *= scale
        dz[i, labels[i]] -= share
    return loss


@summing_kernel
def _distribution_kernel(z, q, dz):
    f = np.float32
    loss, zero = 0.0, f(0)
    for i in range(z.shape[0]):
        largest = _max(z[i])
        total = _exponentials(z[i], largest, dz[i])
        mass, pull = zero, zero
        for j in range(z.shape[1]):
            mass += q[i, j]
            pull += q[i, j] * (largest - z[i, j] if q[i, j] > zero else zero)
        loss += pull + mass * math.log(total)
        scale = mass / total
        for j in range(z.shape[1]):
            dz[i, j] = dz[i, j] * scale - q[i, j]
    return loss


def _from_labels_on_gpu(logits, labels):
    xp, rows = array_module(logits), labels.size
    dlogits, losses = xp.empty_like(logits), xp.empty(rows, logits.dtype)
    labels = xp.ascontiguousarray(labels.astype(np.int64, copy=False))
    _labels_gpu(logits, labels, 1 / rows, dlogits, losses)
    value = float(losses.sum(dtype=np.float64)) / rows
    if math.isnan(value):
        check_labels(
            labels, logits.shape[-1]
        )  # the kernel gives NaN for a label that names no class: one answer of the GPU, not two
    return value, dlogits


_labels_gpu = gpu.Rows(
    "const T* z, const long long* labels, T share, T* dz, T* losses",
    """
    z += row * columns, dz += row * columns;
    const long long label = labels[row];
    if (label < 0 || label >= columns) {
        if (threadIdx.x == 0) losses[row] = __int_as_float(0x7fffffff);  // NaN
        return;
    }
    T largest = z[0], total = 0;
    for (int j = threadIdx.x; j < columns; j += THREADS) largest = larger(largest, z[j]);
    largest = largest_in_row(largest);
    for (int j = threadIdx.x; j < columns; j += THREADS) total += dz[j] = exp(z[j] - largest);
    total = sum_over_row(total);
    for (int j = threadIdx.x; j < columns; j += THREADS) dz[j] = dz[j] * (share / total) - (j == label ? share : T(0));
    if (threadIdx.x == 0) losses[row] = log(total) - (z[label] - largest);
    """,
    "cross_entropy",
)

_SOFT = np.linspace(0, 1, 20).reshape(5, 4)
_WEIGHT = np.array([0.5, 0.0, 2.0, 1.0])
_WEIGHTED = dict(weight=_WEIGHT, label_smoothing=0.2)

CASES = {
    cross_entropy: [
        dict(logits=(5, 4), target=Integers((5,), 4)),
        dict(logits=(2, 3, 4), target=Integers((2, 3), 4), label_smoothing=0.1),
        dict(logits=(5, 4), target=_SOFT),
        dict(logits=(5, 4), target=np.array([0, 2, 3, 1, 2]), **_WEIGHTED),
        dict(logits=(5, 4), target=_SOFT, **_WEIGHTED, mask=Booleans((5,))),
        dict(logits=(8, 4), target=np.array([0, 2, 3, 1, 2, -100, -100, 9]), **_WEIGHTED, mask=np.arange(8) < 5),
        dict(logits=(2, 5, 4), target=Integers((2, 5), 4), mask=Booleans((2, 5))),
        dict(logits=(6, 4), target=np.array([0, 2, -100, 1, 2, -100]), **_WEIGHTED, ignore_index=-100),
    ],
    cross_entropy_probabilities: [
        dict(p=Uniform((5, 4), 0.05, 0.95), target=Integers((5,), 4)),
        dict(p=Uniform((5, 4), 0.05, 0.95), target=_SOFT, eps=0.1),
        dict(p=Uniform((5, 4), 0.05, 0.95), target=Integers((5,), 4), **_WEIGHTED),
        dict(p=Uniform((5, 4), 0.05, 0.95), target=np.array([0, 2, 3, 1, -1]), **_WEIGHTED, mask=np.arange(5) < 4),
    ],
}
