"""Losses of distributions of returns: probabilities of a support (C51), and quantiles (QR-DQN).

Losses return their value and their gradient; the mean over the batch is taken here. Shapes: B rows,
C choices, Z atoms or quantiles of a choice, M of a target.
"""

import numpy as np

from deepnp.backend import kernel_runs, summing_kernel
from deepnp.cases import Integers, Kinked, Uniform
from deepnp.checks import check_shape
from deepnp.losses.checks import check_not_empty
from deepnp.ops.activation import log_softmax
from rl.losses.choices import check_choices


def project(probabilities: np.ndarray, rewards: np.ndarray, discounts: np.ndarray, support: np.ndarray) -> np.ndarray:
    """The distribution of r + γz, put back onto the support (Bellemare, Dabney & Munos 2017, Algorithm 1).

        b = (clip(r + γ z_j, z_1, z_Z) − z_1)/Δ       where atom j comes to lie, between two of the support
        its p_j goes to both of them, to each the more the nearer it is: the mean stays, but for the clipping

    Parameters
    ----------
    probabilities : array (B, Z)
        p of the next state's return.
    rewards, discounts : arrays (B,)
        r, and γ or 0.
    support : array (Z,)
        z, in equal steps Δ; Z is 2 or more.

    Returns
    -------
    array (B, Z)
        Rows sum to what those of `probabilities` do.
    """
    (rows, atoms), low, high = probabilities.shape, support[0], support[-1]
    landed = np.clip(rewards[:, None] + discounts[:, None] * support, low, high)
    places = (landed - low) / ((high - low) / (atoms - 1))  # (B, Z), in [0, Z − 1]
    below = np.minimum(np.nan_to_num(places).astype(np.int64), atoms - 2)  # NaN has no cell, and stays in the share above
    above_share, cells = places - below, below + atoms * np.arange(rows)[:, None]
    total = np.bincount(cells.ravel(), (probabilities * (1 - above_share)).ravel(), rows * atoms)
    total += np.bincount(cells.ravel() + 1, (probabilities * above_share).ravel(), rows * atoms)
    return total.reshape(rows, atoms).astype(probabilities.dtype)


def categorical_loss(
    logits: np.ndarray, choices: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Cross-entropy of the return of what was chosen.

        p = softmax(x(a)),  c_b = −Σ_z m_z ln p_z,  L = (1/B) Σ_b w_b c_b
        dx_z = (w_b/B)(p_z Σ_k m_k − m_z)             at a = a_b, 0 elsewhere

    Parameters
    ----------
    logits : array (B, C, Z)
        x.
    choices : int array (B,)
        a.
    targets : array (B, Z)
        m.
    weights : array (B,)
        w.

    Returns
    -------
    value : float
    dlogits : array (B, C, Z)
    errors : array (B,)
        c.

    Raises
    ------
    ValueError
        For other shapes, or no rows.
    """
    check_choices(logits, choices)
    check_shape("targets", targets, (len(logits), *logits.shape[2:]))
    check_shape("weights", weights, logits.shape[:1])
    check_not_empty(logits)
    rows, kind = np.arange(len(logits)), logits.dtype.type
    log_p = log_softmax.forward(logits[rows, choices])[0]
    errors, dlogits = -(targets * log_p).sum(axis=1), np.zeros_like(logits)
    taken = np.exp(log_p) * targets.sum(axis=1, keepdims=True) - targets
    dlogits[rows, choices] = taken * (weights / kind(len(rows)))[:, None]
    return float((weights * errors).mean()), dlogits, errors


def quantile_loss(
    quantiles: np.ndarray, choices: np.ndarray, targets: np.ndarray, weights: np.ndarray, limit: float = 1.0
) -> tuple[float, np.ndarray, np.ndarray]:
    """Quantile regression with Huber's loss (Dabney et al. 2018, Eq 9 and 10).

        τ_i = (i − ½)/Z                               the middle of the i-th of Z equal shares
        u_ij = y_j − θ_i(a)
        h(u) = ½u² where |u| ≤ κ, κ(|u| − ½κ) elsewhere
        L = (1/B) Σ_b w_b Σ_i (1/M) Σ_j |τ_i − 1[u_ij < 0]| h(u_ij)/κ
        dθ_i = −(w_b/B)(1/M) Σ_j |τ_i − 1[u_ij < 0]| clip(u_ij, ±κ)/κ        at a = a_b, 0 elsewhere

    Parameters
    ----------
    quantiles : array (B, C, Z)
        θ.
    choices : int array (B,)
        a.
    targets : array (B, M)
        y.
    weights : array (B,)
        w.
    limit : float
        κ > 0.

    Returns
    -------
    value : float
    dquantiles : array (B, C, Z)
    errors : array (B,)
        Mean of θ(a) less mean of y.

    Raises
    ------
    ValueError
        For other shapes, or no rows.
    """
    check_choices(quantiles, choices)
    check_shape("weights", weights, quantiles.shape[:1])
    check_shape("targets", targets, (len(quantiles), *targets.shape[1:2]))
    check_not_empty(quantiles)
    rows, kind = np.arange(len(quantiles)), quantiles.dtype.type
    taken = quantiles[rows, choices]  # (B, Z)
    levels = ((np.arange(taken.shape[1]) + 0.5) / taken.shape[1]).astype(taken.dtype)
    losses, dtaken = (_fast if kernel_runs(taken, targets) else _plain)(taken, targets, levels, kind(limit))
    dquantiles = np.zeros_like(quantiles)
    dquantiles[rows, choices] = dtaken * (weights / kind(len(rows)))[:, None]
    return float((weights * losses).mean()), dquantiles, taken.mean(axis=1) - targets.mean(axis=1)


def _plain(taken, targets, levels, limit):
    """θ(a) (B, Z), y (B, M), τ (Z,) and κ -> the loss of each row (B,), and its gradient (B, Z)."""
    u = targets[:, None] - taken[:, :, None]  # (B, Z, M)
    held = np.clip(u, -limit, limit)
    share = np.abs(levels[:, None] - (u < 0).astype(taken.dtype)) / (limit * taken.dtype.type(targets.shape[1]))
    return (share * held * (u - held / 2)).sum(axis=(1, 2)), -(share * held).sum(axis=2)


def _fast(taken, targets, levels, limit):
    losses, dtaken = np.empty_like(taken[:, 0]), np.empty_like(taken)
    _quantile_loss(taken, targets, levels, 1 - levels, limit, losses, dtaken)
    divisor = limit * taken.dtype.type(targets.shape[1])
    return losses / divisor, dtaken / divisor


@summing_kernel
def _quantile_loss(taken, targets, above, below, limit, losses, dtaken):
    """Sums over all pairs, without κM; `above` and `below` are the shares of u ≥ 0 and of u < 0."""
    half, zero = losses.dtype.type(0.5), losses.dtype.type(0)
    for b in range(len(taken)):
        losses[b] = zero
        for i in range(taken.shape[1]):
            loss, slope = zero, zero
            for y in targets[b]:
                u = y - taken[b, i]
                held = u if u != u else min(max(u, -limit), limit)  # a NaN stays
                pulled = (below[i] if u < zero else above[i]) * held
                slope -= pulled
                loss += pulled * (u - half * held)
            losses[b] += loss
            dtaken[b, i] = slope


CASES = {
    categorical_loss: [
        dict(logits=(6, 3, 4), choices=Integers((6,), 3), targets=Uniform((6, 4), 0.0, 1.0), weights=(6,)),
        dict(logits=(1, 1, 2), choices=Integers((1,), 1), targets=(1, 2), weights=(1,)),
    ],
    quantile_loss: [
        dict(
            quantiles=Kinked((6, 3, 4), (-1.0, 0.0, 1.0)),
            choices=Integers((6,), 3),
            targets=Uniform((6, 3), 0.0, 0.0),
            weights=(6,),
        ),
        dict(
            quantiles=Kinked((5, 2, 3), (-0.3, 0.0, 0.3)),
            choices=Integers((5,), 2),
            targets=Uniform((5, 1), 0.0, 0.0),
            weights=(5,),
            limit=0.3,
        ),
    ],
}
