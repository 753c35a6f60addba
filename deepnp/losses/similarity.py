"""Losses of directions."""

import numpy as np

from deepnp.backend import array_module
from deepnp.cases import Booleans
from deepnp.losses.checks import check_shapes, check_signs
from deepnp.losses.masks import kept, spread

_TINY = 1e-12  # added to each squared length: a vector of zeros has cosine 0 and a bounded gradient


def cosine(a, b, target=None, margin=0.0, *, mask=None) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """Cosine embedding loss: vectors that match point the same way, others are at least at an angle.

    Forward    cos = ⟨a, b⟩/(|a| |b|)
               L = (1/B) Σ_b ℓ,  ℓ = 1 − cos where t = 1, max(0, cos − m) where t = −1
    Backward   ∂cos/∂a = b/(|a| |b|) − cos·a/|a|²             what is left of b's direction without a's own: turning, not
               ∂cos/∂b = a/(|a| |b|) − cos·b/|b|²             stretching, changes an angle
               da = −(1/B) ∂cos/∂a where t = 1; +(1/B) ∂cos/∂a where t = −1 and cos > m; 0 elsewhere; db alike

    B rows (every leading axis), D dimensions. Without `target`, every pair matches.

    a, b (B…, D), target (B…) of −1 or 1, margin in [−1, 1], mask (B…) -> value, (da, db) (B…, D).
    """
    check_shapes(a, b, "both inputs")
    xp = array_module(a)
    if target is None:
        target = xp.ones(a.shape[:-1], a.dtype)
    if target.shape != a.shape[:-1]:
        raise ValueError(f"expected a target of shape {a.shape[:-1]}, given {target.shape}")
    if not -1 <= margin <= 1:
        raise ValueError(f"expected margin in [-1, 1], given {margin}")
    margin = float(margin)  # NumPy's float64 would decide the gradients' type
    if mask is not None:
        if mask.ndim >= a.ndim:
            raise ValueError(f"expected a mask of rows, given shape {mask.shape} for rows of {a.shape}")
        a, b, target = kept(mask, a, b, target)
        value, (da, db) = cosine(a, b, target, margin)
        return value, (spread(da, mask), spread(db, mask))
    check_signs(target)
    target, b = target.astype(a.dtype, copy=False)[..., None], b.astype(a.dtype, copy=False)
    a_length = xp.sqrt((a * a).sum(axis=-1, keepdims=True) + _TINY)
    b_length = xp.sqrt((b * b).sum(axis=-1, keepdims=True) + _TINY)
    a_unit, b_unit = a / a_length, b / b_length
    cos = (a_unit * b_unit).sum(axis=-1, keepdims=True)
    loss = xp.where(target == 1, 1 - cos, xp.maximum(cos - margin, 0))
    dcos = xp.where((target == 1) | (cos > margin), -target, 0) * (1 / cos.size)
    da, db = dcos * (b_unit - cos * a_unit) / a_length, dcos * (a_unit - cos * b_unit) / b_length
    return float(loss.mean()), (da, db)


_SIGNS = np.array([1.0, -1.0, -1.0, 1.0, -1.0, -1.0])

CASES = {
    cosine: [
        dict(a=(6, 3), b=(6, 3)),
        dict(a=(6, 3), b=(6, 3), target=_SIGNS, margin=0.2),
        dict(a=(2, 3, 4), b=(2, 3, 4), target=_SIGNS.reshape(2, 3), margin=-0.5),
        dict(a=(6, 3), b=(6, 3), target=_SIGNS, mask=Booleans((6,))),
    ],
}
