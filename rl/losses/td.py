"""Errors of values against their targets.

Losses return their value and their gradient; the mean over the batch is taken here. Shapes: B rows.
"""

import math

import numpy as np

from deepnp.backend import array_module
from deepnp.cases import Kinked, Uniform
from deepnp.losses.checks import check_not_empty


def td_loss(
    values: np.ndarray, targets: np.ndarray, weights: np.ndarray, asymmetry: float = 0.5, limit: float = math.inf
) -> tuple[float, np.ndarray, np.ndarray]:
    """A critic's loss, each row weighted by its importance.

        δ = Q − y           y is a plain number: nothing flows into it
        f = 2α where δ > 0, 2(1 − α) elsewhere              α > ½ punishes values that are too high
        h = δ² where |δ| ≤ κ, κ(2|δ| − κ) elsewhere         its slope is 2·clip(δ, ±κ): Huber's loss, doubled
        L = (1/B) Σ w f h          dQ = (2/B) w f clip(δ, ±κ)

    The asymmetric square is §3.4 of the thesis on maximum entropy; α = ½ and κ = ∞ are the usual
    mean of w δ².

    Parameters
    ----------
    values, targets, weights : arrays (B,)
        Q, y and w.
    asymmetry : float
        α in [0, 1].
    limit : float
        κ > 0.

    Returns
    -------
    value : float
    dvalues : array (B,)
    errors : array (B,)
        δ.
    """
    if not values.shape == targets.shape == weights.shape:
        raise ValueError(f"expected values, targets and weights (B,), given {values.shape}, {targets.shape}, {weights.shape}")
    check_not_empty(values)
    kind, errors = values.dtype.type, values - targets
    held = errors if limit == math.inf else errors.clip(-kind(limit), kind(limit))
    weighted = weights
    if asymmetry != 0.5:
        weighted = weights * array_module(errors).where(errors > 0, kind(2 * asymmetry), kind(2 - 2 * asymmetry))
    loss = (weighted * held * (2 * errors - held)).mean() if limit < math.inf else (weighted * errors * errors).mean()
    return float(loss), weighted * kind(2 / len(values)) * held, errors


CASES = {
    td_loss: [
        dict(values=(7,), targets=(7,), weights=Uniform((7,), 0.1, 1.0)),
        dict(values=(1,), targets=(1,), weights=Uniform((1,), 1.0, 1.0)),
        dict(values=Kinked((12,), (0.0,), 0.05), targets=Uniform((12,), 0.0, 0.0), weights=Uniform((12,), 0.1, 1.0), asymmetry=0.8),
        dict(
            values=Kinked((12,), (-0.5, 0.0, 0.5), 0.05), targets=Uniform((12,), 0.0, 0.0), weights=(12,), asymmetry=0.2, limit=0.5
        ),
    ]
}
