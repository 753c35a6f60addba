"""PPO's loss of the policy on a minibatch, and its gradient.

    L_π = (1/B) Σ −min(ρA, clip(ρ, 1±ε)A) − β H(π) + β_KL KL(π_old‖π)              ρ = π(a|s)/π_old(a|s)

    penalty "clip"                      β_KL = 0
    penalty "kl-fixed", "kl-adaptive"   ε = ∞: the surrogate is ρA
    penalty "none"                      both: the importance-weighted policy gradient, with nothing that holds it back

The three terms meet at the parameters of the distribution π(·|s): their gradients are added there, and go back through the
network at once. At π = π_old the KL and its gradient are 0 and nothing is clipped, so all four are the policy gradient −A ∇ln π.

Shapes: B rows, A action dimensions.
"""

from typing import Any

import numpy as np

from rl.losses.checks import check_finite
from rl.losses.surrogate import clipped_surrogate, kl_penalty, standardize
from rl.networks.branches import Distribution


def policy_loss(
    new: Distribution,
    actions: np.ndarray,
    advantages: np.ndarray,
    old_log_prob: np.ndarray,
    old: Distribution | None,
    c: Any,
) -> tuple[tuple[float, float, float], tuple[np.ndarray, ...]]:
    """L_π of a minibatch, as far as it is logged, and its gradient.

    Parameters
    ----------
    new : distribution
        π(·|s) of B rows.
    actions : array (B, A), (B,) or (B, K)
    advantages, old_log_prob : arrays (B,)
        A, and ln π_old(a|s).
    old : distribution or None
        π_old(·|s); needed for a KL penalty only.
    c : PPOConfig
        As it is now: numbers in the place of schedules.

    Returns
    -------
    log : tuple of float
        The surrogate's loss, the estimate of KL(π_old‖π) from ρ, and the share of clipped ratios.
    gradient : tuple of arrays
        With respect to each parameter of π(·|s).

    Raises
    ------
    NonFiniteError
        If the loss is NaN or infinite.
    """
    size = len(actions)
    if c.normalize_advantages and size > 1:
        advantages = standardize(advantages)
    log_prob = new.log_prob(actions)
    loss, dlog_prob, info = clipped_surrogate(log_prob, old_log_prob, advantages, c.clip_range)
    check_finite("policy loss", loss)
    gradient = new.log_prob_backward(actions, dlog_prob)
    if c.entropy_coef:  # the loss has −β·mean H
        gradient = _added(gradient, new.entropy_backward(np.full(size, -c.entropy_coef / size, log_prob.dtype)))
    if c.kl_weight and old is not None:
        penalty, dpenalty = kl_penalty(old, new, c.kl_weight)
        check_finite("KL penalty", penalty)
        gradient = _added(gradient, dpenalty)
    return (loss, info["kl"], info["clip_fraction"]), gradient


def _added(gradient, other):
    return tuple(a + b for a, b in zip(gradient, other, strict=True))
