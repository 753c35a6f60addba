"""Soft values of choices, where every expectation over π is a sum.

Losses return their value and their gradient; the mean over the batch is taken here. A choice whose
logit is −∞ has probability 0: it counts nowhere, whatever its value.

Shapes: B rows, C choices.
"""

import numpy as np

from deepnp.checks import check_shape
from deepnp.losses.checks import check_not_empty
from deepnp.ops.activation import log_softmax


def soft_value(logits: np.ndarray, values: np.ndarray, alpha: float) -> np.ndarray:
    """V = Σ_a π(a)(Q(a) − α ln π(a)), with π = softmax(z): logits z and values Q (B, C) -> (B,)."""
    check_shape("values", values, logits.shape)
    p, log_p = _policy(logits)
    return (p * (np.where(p > 0, values, 0) - values.dtype.type(alpha) * log_p)).sum(axis=1)


def soft_policy_loss(logits: np.ndarray, values: np.ndarray, alpha: float) -> tuple[float, np.ndarray, np.ndarray]:
    """What a policy of choices loses: J = (1/B) Σ_b Σ_a π(a) h(a), h(a) = α ln π(a) − Q(a).

        ∂π_a/∂z_i = π_a(δ_ai − π_i)
        Σ_a π_a ∂ ln π_a/∂z_i = Σ_a ∂π_a/∂z_i = 0         so nothing comes through the logarithm
        dz_i = (1/B) π_i (h_i − Σ_a π_a h_a)

    Parameters
    ----------
    logits : array (B, C)
        z.
    values : array (B, C)
        Q: nothing flows into it.
    alpha : float
        α.

    Returns
    -------
    value : float
    dlogits : array (B, C)
    entropies : array (B,)
        −Σ_a π(a) ln π(a).

    Raises
    ------
    ValueError
        For other shapes, or no rows.
    """
    check_shape("values", values, logits.shape)
    check_not_empty(logits)
    p, log_p = _policy(logits)
    h = logits.dtype.type(alpha) * log_p - np.where(p > 0, values, 0)
    means = (p * h).sum(axis=1)
    dlogits = p * (h - means[:, None]) / logits.dtype.type(len(logits))
    return float(means.mean()), dlogits, -(p * log_p).sum(axis=1)


def _policy(logits):
    """π and ln π, the latter 0 where π is: there π ln π is 0, not 0·(−∞)."""
    log_p = log_softmax.forward(logits)[0]
    p = np.exp(log_p)
    return p, np.where(p > 0, log_p, log_p.dtype.type(0))


CASES = {
    soft_policy_loss: [
        dict(logits=(6, 4), values=(6, 4), alpha=0.3),
        dict(logits=(1, 2), values=(1, 2), alpha=0.0),
    ]
}
