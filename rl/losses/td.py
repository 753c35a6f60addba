"""Squared errors of values against their targets.

Losses return their value and their gradient; the mean over the batch is taken here. Shapes: B rows.
"""

import numpy as np

from deepnp.cases import Uniform
from deepnp.losses.checks import check_not_empty


def squared_td_error(values: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """A critic's loss, each row weighted by its importance.

        δ = Q − y        L = (1/B) Σ w δ²        dQ = (2/B) w δ        y is a plain number: nothing flows into it

    Parameters
    ----------
    values, targets, weights : arrays (B,)
        Q, y and w.

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
    errors = values - targets
    scale = weights * values.dtype.type(2 / len(values))
    return float((weights * errors * errors).mean()), scale * errors, errors


CASES = {
    squared_td_error: [
        dict(values=(7,), targets=(7,), weights=Uniform((7,), 0.1, 1.0)),
        dict(values=(1,), targets=(1,), weights=Uniform((1,), 1.0, 1.0)),
    ]
}
