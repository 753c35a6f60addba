"""Losses of predicted numbers.

In each, n counts the elements. `weight`, of y's shape, multiplies each element's loss; the mean still divides by n, as
prioritised replay wants it. With `mask`, Boolean, of y's shape or of its leading axes, the mean is over what is True.
"""

import math

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, kernel_runs, summing_kernel
from deepnp.cases import Booleans, Kinked, Uniform
from deepnp.losses.checks import check_shapes, in_one_pass, shares
from deepnp.losses.masks import kept, spread


def mse(y, target, *, weight=None, mask=None) -> tuple[float, np.ndarray]:
    """Mean squared error.

    Forward    L = (1/n) Σ (y − t)²
    Backward   dy = (2/n)(y − t)

    y, target : arrays of one shape -> value, dy (that shape).
    """
    check_shapes(y, target)
    if mask is not None:
        y, target, weight = kept(mask, y, target, weight)
        value, dy = mse(y, target, weight=weight)
        return value, spread(dy, mask)
    target = target.astype(y.dtype, copy=False)
    if weight is None and kernel_runs(y, target):
        return in_one_pass(_mse, y, target)
    if weight is None and gpu.elementwise_runs(y, target):
        terms, dy = _mse_gpu(y, target, 1 / y.size)
        return float(terms.sum()), dy
    error, share = y - target, shares(y, weight)
    return float((share * error * error).sum()), 2 * share * error


def rmse(y, target, *, mask=None) -> tuple[float, np.ndarray]:
    """Root of the mean squared error: in the units of y.

    Forward    L = √M,  M = (1/n) Σ (y − t)²
    Backward   dy = dM/(2√M) = (y − t)/(n L)                  the chain rule through the root; 0 where L = 0, the kink

    y, target : arrays of one shape -> value, dy (that shape).
    """
    value, dy = mse(y, target, mask=mask)
    if value == 0:
        return 0.0, dy
    root = math.sqrt(value)
    return root, dy * (0.5 / root)


def l1(y, target, *, weight=None, mask=None) -> tuple[float, np.ndarray]:
    """Mean absolute error.

    Forward    L = (1/n) Σ |y − t|
    Backward   dy = (1/n) sign(y − t)                         0 at the kink y = t

    y, target : arrays of one shape -> value, dy (that shape).
    """
    check_shapes(y, target)
    if mask is not None:
        y, target, weight = kept(mask, y, target, weight)
        value, dy = l1(y, target, weight=weight)
        return value, spread(dy, mask)
    target = target.astype(y.dtype, copy=False)
    if weight is None and kernel_runs(y, target):
        return in_one_pass(_l1, y, target)
    xp = array_module(y)
    error, share = y - target, shares(y, weight)
    return float((share * xp.abs(error)).sum()), share * xp.sign(error)


def huber(y, target, *, delta=1.0, weight=None, mask=None) -> tuple[float, np.ndarray]:
    """Huber loss: quadratic near the target, linear beyond `delta`, so that outliers pull with bounded force.

    Forward    L = (1/n) Σ ½e² where |e| ≤ δ, δ(|e| − ½δ) elsewhere,      e = y − t
    Backward   dy = (1/n) clip(e, −δ, δ)                                  both pieces meet at |e| = δ with slope δ

    y, target : arrays of one shape, delta > 0 -> value, dy (that shape).
    """
    check_shapes(y, target)
    if not delta > 0:
        raise ValueError(f"expected delta > 0, given {delta}")
    delta = float(delta)  # NumPy's float64 would decide the gradient's type
    if mask is not None:
        y, target, weight = kept(mask, y, target, weight)
        value, dy = huber(y, target, delta=delta, weight=weight)
        return value, spread(dy, mask)
    target = target.astype(y.dtype, copy=False)
    if weight is None and kernel_runs(y, target):
        return in_one_pass(_huber, y, target, delta)
    error, share = y - target, shares(y, weight)
    clipped = array_module(y).clip(error, -delta, delta)
    return float((share * clipped * (error - 0.5 * clipped)).sum()), share * clipped


@summing_kernel
def _mse(y, target, dy):
    total, scale = 0.0, y.dtype.type(2.0 / y.size)
    for i in range(y.size):
        error = y[i] - target[i]
        total += error * error
        dy[i] = scale * error
    return total


@summing_kernel
def _l1(y, target, dy):
    kind = y.dtype.type
    total, zero, share = 0.0, kind(0), kind(1.0 / y.size)
    for i in range(y.size):
        error = y[i] - target[i]
        total += abs(error)
        dy[i] = share if error > zero else (-share if error < zero else share * error)  # the last is 0, or NaN
    return total


@summing_kernel
def _huber(y, target, dy, delta):
    kind = y.dtype.type
    total, half, share = 0.0, kind(0.5), kind(1.0 / y.size)
    for i in range(y.size):
        error = y[i] - target[i]
        clipped = delta if error > delta else (-delta if error < -delta else error)
        total += clipped * (error - half * clipped)
        dy[i] = share * clipped
    return total


_mse_gpu = gpu.Elementwise(
    "T y, T target, T share",
    "T term, T dy",
    "const T error = y - target; term = share * error * error, dy = 2 * share * error",
    "mse",
)

_QUARTERS = np.full((6, 4), 0.25)

CASES = {
    mse: [
        dict(y=(5, 3), target=(5, 3)),
        dict(y=(1,), target=(1,)),
        dict(y=(5, 3), target=(5, 3), weight=Uniform((5, 3), 0, 2)),
        dict(y=(5, 3), target=(5, 3), weight=Uniform((5, 3), 0, 2), mask=Booleans((5, 3))),
        dict(y=(6, 2, 3), target=(6, 2, 3), mask=Booleans((6, 2))),
    ],
    rmse: [dict(y=(5, 3), target=(5, 3)), dict(y=(1,), target=(1,)), dict(y=(5, 3), target=(5, 3), mask=Booleans((5, 3)))],
    l1: [
        dict(y=Kinked((6, 4), (0.25,)), target=_QUARTERS),
        dict(y=Kinked((6, 4), (0.25,)), target=_QUARTERS, weight=Uniform((6, 4), 0, 2)),
        dict(y=Kinked((6, 4), (0.25,)), target=_QUARTERS, weight=Uniform((6, 4), 0, 2), mask=Booleans((6,))),
    ],
    huber: [
        dict(y=Kinked((6, 4), (-0.75, 1.25)), target=_QUARTERS),
        dict(y=Kinked((6, 4), (-0.25, 0.75)), target=_QUARTERS, delta=0.5),
        dict(y=Kinked((6, 4), (-0.25, 0.75)), target=_QUARTERS, delta=0.5, weight=Uniform((6, 4), 0, 2), mask=Booleans((6, 4))),
    ],
}
