"""PPO's losses, as functions of the networks' outputs: the surrogate, clipped or not, the KL penalty, and the value's.

Losses return their value and their gradient; the mean over the batch is taken here. Shapes: B rows.
"""

import math
from typing import Any, Protocol

import numpy as np

from deepnp.backend import kernel_runs, ordered_kernel
from deepnp.cases import Kinked, Uniform
from deepnp.checks import check_shape

CLIP = 0.2  # of the CASES
RATIO_KINKS = (math.log(1 - CLIP), math.log(1 + CLIP))
LOG_RATIO_LIMIT = 20.0  # e^20: beyond any ratio that matters, far from overflow


def standardize(x) -> np.ndarray:
    """(x − mean x)/(std x + 1e-8): advantages (B,) of a minibatch -> (B,)."""
    if not kernel_runs(x):
        return (x - x.mean()) / (x.std() + 1e-8)
    out = np.empty_like(x)
    _standardize(x, out)
    return out


@ordered_kernel
def _standardize(x, out):
    mean, variance = 0.0, 0.0
    for i in range(len(x)):
        mean += x[i] / len(x)
    for i in range(len(x)):
        variance += (x[i] - mean) ** 2 / len(x)
    scale = 1 / (math.sqrt(variance) + 1e-8)
    for i in range(len(x)):
        out[i] = (x[i] - mean) * scale


def clipped_surrogate(log_prob, old_log_prob, advantages, clip: float) -> tuple[float, np.ndarray, dict[str, float]]:
    """−L^CLIP of Schulman et al. 2017, Eq. 7, to be minimised.

        ρ = e^{ln π − ln π_old}
        L = −(1/B) Σ min(ρA, clip(ρ, 1−ε, 1+ε)A)
        ∂L/∂ln π = −(1/B) ρA      where ρA ≤ clip(ρ)A, for ∂ρ/∂ln π = ρ
                 = 0              where the clipped branch is the smaller one: it is flat

    Beyond |ln ρ| = 20 the ratio is held there, and the gradient is that of the held ratio times ρA.
    Through ln π, not π: the product of many small probabilities underflows, the sum of their
    logarithms does not.

    Parameters
    ----------
    log_prob, old_log_prob, advantages : arrays (B,)
    clip : float
        ε. With infinity nothing is clipped: L = −(1/B) Σ ρA.

    Returns
    -------
    value : float
    dlog_prob : array (B,)
    info : dict
        `kl` the estimate (ρ − 1) − ln ρ of KL(old‖new) (Schulman 2020), `clip_fraction` the share
        with |ρ − 1| > ε.
    """
    for name, x in (("old_log_prob", old_log_prob), ("advantages", advantages)):
        check_shape(name, x, log_prob.shape)
    size = len(log_prob)
    if kernel_runs(log_prob, old_log_prob, advantages):
        dlog_prob = np.empty_like(log_prob)
        value, kl, outside = _clipped_surrogate(log_prob, old_log_prob, advantages, clip, dlog_prob)
        return value / size, dlog_prob, {"kl": kl / size, "clip_fraction": outside / size}
    log_ratio = np.clip(log_prob - old_log_prob, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    ratio = np.exp(log_ratio)
    plain, clipped = ratio * advantages, np.clip(ratio, 1 - clip, 1 + clip) * advantages
    value = -np.minimum(plain, clipped).mean()
    dlog_prob = np.where(plain <= clipped, -plain / size, 0).astype(log_prob.dtype)
    info = {"kl": float((ratio - 1 - log_ratio).mean()), "clip_fraction": float((np.abs(ratio - 1) > clip).mean())}
    return float(value), dlog_prob, info


@ordered_kernel
def _clipped_surrogate(log_prob, old_log_prob, advantages, clip, dlog_prob):
    value, kl, outside, size = 0.0, 0.0, 0, len(log_prob)
    for i in range(size):
        log_ratio = min(max(float(log_prob[i]) - float(old_log_prob[i]), -20.0), 20.0)
        ratio, advantage = math.exp(log_ratio), float(advantages[i])
        plain, clipped = ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage
        value -= min(plain, clipped)
        dlog_prob[i] = -plain / size if plain <= clipped else 0.0
        kl += ratio - 1 - log_ratio
        outside += abs(ratio - 1) > clip
    return value, kl, outside


class Divergent(Protocol):
    """A distribution of rl/networks, which knows its KL and the derivatives."""

    def kl(self, other: Any) -> np.ndarray: ...

    def kl_backward(self, other: Any, dkl: np.ndarray) -> tuple[np.ndarray, ...]: ...


def kl_penalty(old: Divergent, new: Divergent, coefficient: float) -> tuple[float, tuple[np.ndarray, ...]]:
    """β·(1/B) Σ KL(π_old(·|s)‖π(·|s)), to be minimised (Schulman et al. 2017, Eq. 8).

    Exact, from the two distributions; the policy that collected the data comes first.

    Parameters
    ----------
    old, new : distributions of B rows
    coefficient : float
        β.

    Returns
    -------
    value : float
    gradient : tuple of arrays
        With respect to each parameter of π, in their order.
    """
    kl = old.kl(new)
    gradients = old.kl_backward(new, np.full(len(kl), coefficient / len(kl), kl.dtype))
    return coefficient * float(kl.mean()), gradients[len(gradients) // 2 :]  # the first half is π_old's


def value_loss(values, old_values, targets, clip: float | None = None) -> tuple[float, np.ndarray]:
    """Squared error of the value, optionally clipped around the old one.

        L = (1/B) Σ (V − R)²,   with clip:   (1/B) Σ max((V − R)², (V_old + clip(V − V_old, ±ε) − R)²)
        dV = (2/B)(V − R), and 0 where the clipped error is the larger one: there V's own change is outside ±ε

    Parameters
    ----------
    values, old_values, targets : arrays (B,)
    clip : float or None
        ε, in the units of the value.

    Returns
    -------
    value : float
    dvalues : array (B,)
    """
    for name, x in (("old_values", old_values), ("targets", targets)):
        check_shape(name, x, values.shape)
    if kernel_runs(values, old_values, targets):
        dvalues = np.empty_like(values)
        total = _value_loss(values, old_values, targets, math.inf if clip is None else clip, dvalues)
        return total / len(values), dvalues
    error = values - targets
    dvalues = error * (2 / len(values))
    if clip is None:
        return float(np.dot(error, error)) / len(values), dvalues
    change = values - old_values
    clipped_error = old_values + np.clip(change, -clip, clip) - targets
    flat = (clipped_error**2 > error**2) & (np.abs(change) > clip)
    return float(np.maximum(error**2, clipped_error**2).mean()), np.where(flat, 0, dvalues).astype(values.dtype)


@ordered_kernel
def _value_loss(values, old_values, targets, clip, dvalues):
    total, size, zero = 0.0, len(values), values.dtype.type(0)
    limit, scale = values.dtype.type(clip), values.dtype.type(2 / size)
    for i in range(size):
        error, change = values[i] - targets[i], values[i] - old_values[i]
        square, held, outside = float(error) * float(error), error, abs(change) > limit
        if clip < math.inf:
            within = min(max(change, -limit), limit) if change == change else change  # a NaN stays
            held = old_values[i] + within - targets[i]
        held_square = float(held) * float(held)
        dvalues[i] = zero if outside and held_square > square else error * scale
        total += square if held_square <= square else held_square
    return total


CASES = {
    clipped_surrogate: [
        dict(log_prob=Kinked((40,), RATIO_KINKS, 0.02), old_log_prob=Uniform((40,), 0.0, 0.0), advantages=(40,), clip=CLIP),
        dict(log_prob=(5,), old_log_prob=(5,), advantages=Uniform((5,), 1.0, 2.0), clip=100.0),
        dict(log_prob=(5,), old_log_prob=(5,), advantages=(5,), clip=math.inf),
    ],
    value_loss: [
        dict(values=(9,), old_values=(9,), targets=(9,)),
        dict(values=Kinked((40,), (0.3 - CLIP, 0.3 + CLIP)), old_values=Uniform((40,), 0.3, 0.3), targets=(40,), clip=CLIP),
    ],
}
