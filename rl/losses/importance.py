"""Importance weights: what makes rows that another policy b drew count as if π had drawn them.

    ρ_t = π(a_t|s_t)/b(a_t|s_t)

    per step         w_t = ρ_t                     E_b[ρ A] = E_π[A] in each state; the states stay b's
    per decision     w_t = Π_{i≤t} ρ_i             all that led to (s_t, a_t) in its episode (Precup, Sutton & Singh 2000)
    per trajectory   w_t = Π_i ρ_i                 the whole episode: what comes after t has mean 1 and only adds variance

The lecture prints index t inside the product, which would be ρ_t^{t+1}: the index is i. The products are sums of logarithms here.

    truncated        min(w, c)                     a bound of the variance, at the price of a bias (Ionides 2008)
    self-normalised  B w/Σ w                       biased, consistent, and of less variance: a common factor cancels
    ESS              (Σ w)²/Σ w²                   how many rows of equal weight are worth as much; 1 … B (Kong 1992)

Shapes: T steps, N environments, B rows.
"""

import numpy as np

from deepnp.checks import check_shape

KINDS = ("step", "decision", "trajectory")
SMALLEST = -80.0  # ln w of rows that π would never have: e^−80 is the least that float32 holds in full


def log_weights(kind: str, log_ratios: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """ln w_t by the kind of weight: (T, N).

    A product begins with an episode, or with the data where this begins in the midst of one: the
    policy that led there is not looked at.

    Parameters
    ----------
    kind : {"step", "decision", "trajectory"}
    log_ratios : array (T, N)
        ln ρ.
    ended : bool array (T, N)
        Last steps of episodes.

    Raises
    ------
    ValueError
        For another kind, or shapes that differ.
    """
    check_shape("ended", ended, log_ratios.shape)
    if kind == "step":
        return log_ratios
    if kind not in KINDS:
        raise ValueError(f"expected a kind of weight among {KINDS}, given {kind!r:.80}")
    sums, before = np.empty_like(log_ratios), np.zeros(log_ratios.shape[1:], log_ratios.dtype)
    for t, log_ratio in enumerate(log_ratios):
        sums[t] = before + log_ratio
        before = np.where(ended[t], 0, sums[t])
    if kind == "decision":
        return sums
    whole = sums.copy()
    for t in range(len(sums) - 2, -1, -1):  # what an episode's, or the data's, last step has, all its steps have
        whole[t] = np.where(ended[t], sums[t], whole[t + 1])
    return whole


def weights_of(log_w: np.ndarray, limit: float, normalize: bool) -> np.ndarray:
    """w (B,) of ln w (B,), truncated at `limit`, and then of mean 1 if it is to be self-normalised."""
    log_w = np.clip(log_w, SMALLEST, np.log(limit))
    return np.exp(log_w - log_mean_exp(log_w)) if normalize else np.exp(log_w)


def effective_sample_size(log_w: np.ndarray) -> float:
    """(Σ w)²/Σ w² of ln w (B,): between 1 and B."""
    return float(len(log_w) * np.exp(2 * log_mean_exp(log_w) - log_mean_exp(2 * log_w)))


def log_mean_exp(x: np.ndarray) -> float:
    """ln((1/B) Σ e^x) of x (B,), without overflow."""
    largest = float(x.max())
    return largest + float(np.log(np.mean(np.exp(x - largest))))
