"""Losses of learned models of the dynamics: several members predict the same targets, each on rows of its own.

Losses return their value and their gradients. The mean over the rows is taken here, and the sum over
members and outputs: members share nothing, so each gets the gradient of its own loss.

Shapes: E members, B rows, D outputs.
"""

import numpy as np

from deepnp.cases import Uniform
from deepnp.checks import check_shape
from deepnp.losses.checks import check_not_empty
from deepnp.ops.activation.sigmoid import sigmoid
from deepnp.ops.activation.softplus import softplus

BOUND_COEF = 0.01  # what a nat between the bounds costs


def bound_log_variance(raw, low, high) -> np.ndarray:
    """ln v of a network's output, held between two bounds by softplus:

        u = high − softplus(high − raw)        below high
        ln v = low + softplus(u − low)         above low

    raw (E, B, D), low and high (D,) -> (E, B, D).
    """
    upper = high - softplus(high - raw)
    return low + softplus(upper - low)


def bounded_nll(mean, raw, low, high, targets) -> tuple[float, tuple[np.ndarray, ...]]:
    """Negative log-likelihood of targets t under N(μ, v) with ln v = `bound_log_variance`, less its constant.

        L = Σ_e (1/B) Σ_b Σ_d ½[(t − μ)²/v + ln v] + c(Σ high − Σ low)          c = 0.01 draws the bounds together

        dμ = (1/B) (μ − t)/v
        g = ∂L/∂ln v = (1/2B) [1 − (t − μ)²/v]                  1/v = e^{−ln v}
        du = g σ(u − low)            dlow  = Σ_eb g (1 − σ(u − low)) − c
        draw = du σ(high − raw)      dhigh = Σ_eb du (1 − σ(high − raw)) + c

    (Chua et al. 2018, appendix A.1.)

    Parameters
    ----------
    mean, raw, targets : arrays (E, B, D)
        μ, what ln v is made of, and t.
    low, high : arrays (D,)
        Bounds of ln v.

    Returns
    -------
    value : float
    dmean, draw : arrays (E, B, D)
    dlow, dhigh : arrays (D,)

    Raises
    ------
    ValueError
        For other shapes, or no rows.
    """
    check_shape("raw", raw, mean.shape)
    check_shape("targets", targets, mean.shape)
    check_not_empty(mean)
    upper = high - softplus(high - raw)
    log_variance = low + softplus(upper - low)
    precision, error, share = np.exp(-log_variance), mean - targets, mean.dtype.type(1 / mean.shape[1])
    scaled = error * precision
    value = 0.5 * float(share * (error * scaled + log_variance).sum()) + BOUND_COEF * float((high - low).sum())
    dlog_variance = (share / 2) * (1 - error * scaled)
    inside_low, inside_high = sigmoid(upper - low), sigmoid(high - raw)
    dupper = dlog_variance * inside_low
    dlow = (dlog_variance * (1 - inside_low)).sum(axis=(0, 1)) - mean.dtype.type(BOUND_COEF)
    dhigh = (dupper * (1 - inside_high)).sum(axis=(0, 1)) + mean.dtype.type(BOUND_COEF)
    return value, (share * scaled, dupper * inside_high, dlow, dhigh)


def squared_error(mean, targets) -> tuple[float, np.ndarray]:
    """L = Σ_e (1/B) Σ_b Σ_d (μ − t)², dμ = (2/B)(μ − t), of arrays (E, B, D).

    Raises
    ------
    ValueError
        For other shapes, or no rows.
    """
    check_shape("targets", targets, mean.shape)
    check_not_empty(mean)
    error, share = mean - targets, mean.dtype.type(1 / mean.shape[1])
    return float(share * (error * error).sum()), 2 * share * error


def end_loss(logits, ended) -> tuple[float, np.ndarray]:
    """Cross-entropy of the logits z that say whether a step terminated: logits (E, B) and `ended` (E, B), 0 or 1.

        L = Σ_e (1/B) Σ_b [softplus(z) − ended z]        dz = (1/B) (σ(z) − ended)

    Raises
    ------
    ValueError
        For other shapes, or no rows.
    """
    check_shape("ended", ended, logits.shape)
    check_not_empty(logits)
    share, ended = logits.dtype.type(1 / logits.shape[1]), ended.astype(logits.dtype)
    return float(share * (softplus(logits) - ended * logits).sum()), share * (sigmoid(logits) - ended)


CASES = {
    bounded_nll: [
        dict(
            mean=(2, 5, 3),
            raw=(2, 5, 3),
            low=Uniform((3,), -3.0, -1.0),
            high=Uniform((3,), 0.0, 2.0),
            targets=Uniform((2, 5, 3), -2, 2),
        ),
        dict(mean=(1, 1, 1), raw=(1, 1, 1), low=Uniform((1,), -9.0, -8.0), high=Uniform((1,), 0.4, 0.5), targets=(1, 1, 1)),
    ],
    squared_error: [dict(mean=(2, 5, 3), targets=(2, 5, 3)), dict(mean=(1, 1, 1), targets=(1, 1, 1))],
    end_loss: [
        dict(logits=(2, 5), ended=Uniform((2, 5), 0.0, 1.0)),
        dict(logits=Uniform((1, 4), -30.0, 30.0), ended=Uniform((1, 4), 1.0, 1.0)),
    ],
}
