"""Losses of predicted numbers."""

from deepnp.backend import array_module
from deepnp.losses.checks import check_shapes


def mse(y, target):
    """Mean squared error.

    Forward    L = (1/n) Σ (y − t)²
    Backward   dy = (2/n)(y − t)

    y, target : arrays of one shape -> value, dy (that shape).
    """
    check_shapes(y, target)
    error = y - target
    return float((error * error).mean()), error * (2 / error.size)


def huber(y, target, delta=1.0):
    """Huber loss: quadratic near the target, linear beyond `delta`, so that outliers pull with bounded force.

    Forward    L = (1/n) Σ ½e² where |e| ≤ δ, δ(|e| − ½δ) elsewhere,      e = y − t
    Backward   dy = (1/n) clip(e, −δ, δ)                                  both pieces meet at |e| = δ with slope δ

    y, target : arrays of one shape, delta > 0 -> value, dy (that shape).
    """
    check_shapes(y, target)
    if not delta > 0:
        raise ValueError(f"expected delta > 0, given {delta}")
    xp = array_module(y)
    error = y - target
    clipped = xp.clip(error, -delta, delta)
    return float((clipped * (error - 0.5 * clipped)).mean()), clipped * (1 / error.size)


CASES = {
    mse: [dict(y=(5, 3), target=(5, 3)), dict(y=(1,), target=(1,))],
    huber: [dict(y=(5, 3), target=(5, 3)), dict(y=(40,), target=(40,), delta=0.5)],
}
