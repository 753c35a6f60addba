"""Losses of decisions between two classes.

In each, n counts the elements. `weight`, of y's shape, multiplies each element's loss; the mean still divides by n.
With `mask`, Boolean, of y's shape or of its leading axes, the mean is over what is True.
"""

import math
from numbers import Real

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, kernel_runs, summing_kernel
from deepnp.cases import Booleans, Kinked, Uniform
from deepnp.losses.checks import check_range, check_shapes, check_signs, in_one_pass, shares
from deepnp.losses.masks import kept, spread


def bce_with_logits(logits, target, *, pos_weight=1.0, weight=None, mask=None) -> tuple[float, np.ndarray]:
    """Binary cross-entropy of logits z: the probability of class 1 is p = σ(z).

    Forward    L = −(1/n) Σ [w t ln σ(z) + (1 − t) ln σ(−z)]
                 = (1/n) Σ [w t s(−z) + (1 − t) s(z)]         s(z) = softplus z = max(z, 0) + ln(1 + e^−|z|) = −ln σ(−z)
    Backward   dz = (1/n) [(1 − t) σ(z) − w t σ(−z)]          s′ = σ; with w = 1 this is (σ(z) − t)/n

    Neither the value nor the slope subtracts two numbers that are nearly one, and the exponential never grows. w is
    `pos_weight`: above 1 it makes a missed positive dearer. A number, or an array of the last axes' shape.

    logits, target : arrays of one shape, targets in [0, 1], pos_weight >= 0 -> value, dlogits (that shape).
    """
    check_shapes(logits, target, "logits and target")
    alike = isinstance(pos_weight, Real)
    if not alike:
        pos_weight = spread_weight(pos_weight, logits)
    elif not pos_weight >= 0:
        raise ValueError(f"expected pos_weight >= 0, given {pos_weight}")
    else:
        pos_weight = float(pos_weight)  # NumPy's float64 would decide the gradient's type
    if mask is not None:
        if not alike:
            (pos_weight,) = kept(mask, pos_weight)
        logits, target, weight = kept(mask, logits, target, weight)
        value, dlogits = bce_with_logits(logits, target, pos_weight=pos_weight, weight=weight)
        return value, spread(dlogits, mask)
    check_range(target, 0, 1, "targets")
    target = target.astype(logits.dtype, copy=False)
    if alike and weight is None and logits.dtype == np.float32 and kernel_runs(logits, target):
        return in_one_pass(_bce_with_logits, logits, target, pos_weight)
    xp, share = array_module(logits), shares(logits, weight)
    yes, no = pos_weight * target, 1 - target
    e = xp.exp(-xp.abs(logits))
    near, far = xp.log1p(e), 1 / (1 + e)  # ln(1 + e^−|z|), and σ(|z|)
    value = (share * (yes * (xp.maximum(-logits, 0) + near) + no * (xp.maximum(logits, 0) + near))).sum()
    up, down = xp.where(logits >= 0, 1, e) * far, xp.where(logits >= 0, e, 1) * far  # σ(z), σ(−z)
    return float(value), share * (no * up - yes * down)


def spread_weight(pos_weight, logits) -> np.ndarray:
    """A weight of the last axes' shape, for every element."""
    shape = pos_weight.shape
    if shape != logits.shape[logits.ndim - len(shape) :]:
        raise ValueError(f"expected pos_weight of the last axes of {logits.shape}, given shape {shape}")
    check_range(pos_weight, 0, math.inf, "pos_weight")
    return array_module(logits).broadcast_to(pos_weight.astype(logits.dtype, copy=False), logits.shape)


def bce(p, target, *, eps=1e-12, weight=None, mask=None) -> tuple[float, np.ndarray]:
    """Binary cross-entropy of probabilities p. From logits, `bce_with_logits` is more exact.

    Forward    L = −(1/n) Σ [t ln(p + ε) + (1 − t) ln(1 − p + ε)]
    Backward   dp = (1/n) [(1 − t)/(1 − p + ε) − t/(p + ε)]   each ε stays with its own logarithm

    p, target : arrays of one shape in [0, 1], eps >= 0 -> value, dp (that shape).
    """
    check_shapes(p, target, "probabilities and target")
    if mask is not None:
        p, target, weight = kept(mask, p, target, weight)
        value, dp = bce(p, target, eps=eps, weight=weight)
        return value, spread(dp, mask)
    check_range(p, 0, 1, "probabilities")
    check_range(target, 0, 1, "targets")
    target, eps = target.astype(p.dtype, copy=False), float(eps)
    xp, share = array_module(p), shares(p, weight)
    one, zero = p + eps, (1 - p) + eps
    return float(-(share * (target * xp.log(one) + (1 - target) * xp.log(zero))).sum()), share * (
        (1 - target) / zero - target / one
    )


def hinge(y, target, *, mask=None) -> tuple[float, np.ndarray]:
    """Hinge loss of scores: no loss once a score is on the right side by 1.

    Forward    L = (1/n) Σ max(0, 1 − t y)
    Backward   dy = −t/n where t y < 1, 0 elsewhere           the kink t y = 1 counts as right

    Not to be confused with hinge embedding, the next function.

    y, target : arrays of one shape, targets −1 or 1 -> value, dy (that shape).
    """
    check_shapes(y, target)
    if mask is not None:
        value, dy = hinge(*kept(mask, y, target))
        return value, spread(dy, mask)
    check_signs(target)
    target = target.astype(y.dtype, copy=False)
    if kernel_runs(y, target):
        return in_one_pass(_hinge, y, target)
    xp = array_module(y)
    missing = 1 - target * y
    return float(xp.maximum(missing, 0).mean()), xp.where(missing > 0, -target, 0) * (1 / y.size)


def hinge_embedding(y, target, margin=1.0, *, mask=None) -> tuple[float, np.ndarray]:
    """Hinge embedding of distances y: pairs that match come together, others go `margin` apart.

    Forward    L = (1/n) Σ y where t = 1, max(0, m − y) where t = −1
    Backward   dy = 1/n where t = 1; −1/n where t = −1 and y < m; 0 elsewhere

    y, target : arrays of one shape, targets −1 or 1 -> value, dy (that shape).
    """
    check_shapes(y, target)
    if mask is not None:
        y, target = kept(mask, y, target)
        value, dy = hinge_embedding(y, target, margin)
        return value, spread(dy, mask)
    check_signs(target)
    target, margin = target.astype(y.dtype, copy=False), float(margin)
    xp = array_module(y)
    value = xp.where(target == 1, y, xp.maximum(margin - y, 0)).mean()
    return float(value), xp.where((target == 1) | (y < margin), target, 0) * (1 / y.size)


@summing_kernel
def _bce_with_logits(z, target, dz, pos_weight):
    f = np.float32
    total, one, zero, share = 0.0, f(1), f(0), f(1.0 / z.size)
    for start in range(0, z.size, 1024):  # sums of a block stay in float32: twice as many fit into a register
        some, targets, out, part = z[start : start + 1024], target[start : start + 1024], dz[start : start + 1024], zero
        for i in range(some.size):
            yes, no = pos_weight * targets[i], one - targets[i]
            e = elementary.exp(-abs(some[i]))
            near, far = elementary.log1p(e), one / (one + e)
            positive = some[i] >= zero
            part += yes * ((zero if positive else -some[i]) + near) + no * ((some[i] if positive else zero) + near)
            out[i] = share * far * (no * (one if positive else e) - yes * (e if positive else one))
        total += part
    return total


@summing_kernel
def _hinge(y, target, dy):
    kind = y.dtype.type
    total, one, zero, share = 0.0, kind(1), kind(0), kind(1.0 / y.size)
    for i in range(y.size):
        missing = one - target[i] * y[i]
        total += zero if missing < zero else missing
        dy[i] = -share * target[i] if missing > zero else zero
    return total


_SIGNS = np.where(np.arange(24).reshape(6, 4) % 2 == 0, -1.0, 1.0)
_SOFT = np.linspace(0, 1, 24).reshape(6, 4)

CASES = {
    bce_with_logits: [
        dict(logits=(6, 4), target=_SOFT),
        dict(logits=(6, 4), target=Booleans((6, 4)), pos_weight=3.0),
        dict(logits=(6, 4), target=_SOFT, pos_weight=np.array([0.5, 1.0, 2.0, 0.0])),
        dict(logits=(6, 4), target=_SOFT, pos_weight=np.array([0.5, 1.0, 2.0, 0.0]), mask=Booleans((6, 4))),
        dict(logits=(6, 4), target=_SOFT, pos_weight=0.5, weight=Uniform((6, 4), 0, 2), mask=Booleans((6, 4))),
    ],
    bce: [
        dict(p=Uniform((6, 4), 0.05, 0.95), target=_SOFT),
        dict(p=Uniform((6, 4), 0.05, 0.95), target=_SOFT, eps=0.1, weight=Uniform((6, 4), 0, 2)),
        dict(p=Uniform((6, 4), 0.05, 0.95), target=_SOFT, weight=Uniform((6, 4), 0, 2), mask=Booleans((6,))),
    ],
    hinge: [
        dict(y=Kinked((6, 4), (-1.0, 1.0)), target=_SIGNS),
        dict(y=Kinked((6, 4), (-1.0, 1.0)), target=_SIGNS, mask=Booleans((6, 4))),
    ],
    hinge_embedding: [
        dict(y=Kinked((6, 4), (1.0,)), target=_SIGNS),
        dict(y=Kinked((6, 4), (0.2,)), target=_SIGNS, margin=0.2),
        dict(y=Kinked((6, 4), (0.2,)), target=_SIGNS, margin=0.2, mask=Booleans((6, 4))),
    ],
}
