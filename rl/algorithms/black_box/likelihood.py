"""The policy's fit that RWR and REPS share: to actions as if they had been drawn more or less often than they were.

    θ ← descent on  −(1/B) Σ w ln π(a|s)

With w >= 0 this is the maximum of a weighted likelihood: nothing in it pushes away from an action.

Shapes: B rows.
"""

from typing import Any

import numpy as np

from deepnp.optim import Optimizer
from rl.algorithms.policy_gradient.steps import gradient_step
from rl.guards import Guard
from rl.losses.checks import check_finite
from rl.networks.policies import Policy


def likelihood_step(
    policy: Policy, optimizer: Optimizer, observations: Any, actions: np.ndarray, weights: np.ndarray, max_norm: float
) -> float:
    """One step of descent on all rows (B, …) with weights (B,); returns the loss before it.

    Raises
    ------
    NonFiniteError
        If the loss or the gradient is NaN or infinite: then the policy stays as it is.
    """
    distribution = policy.forward(observations)
    log_prob = distribution.log_prob(actions)
    loss = -float(np.dot(weights, log_prob)) / len(weights)
    check_finite("policy loss", loss)
    gradient = distribution.log_prob_backward(actions, (weights / -len(weights)).astype(log_prob.dtype))
    gradient_step("policy", policy, optimizer, gradient, max_norm)
    return loss


def fit_by_likelihood(
    policy: Policy, optimizer: Optimizer, guard: Guard, observations: Any, actions: np.ndarray, weights: np.ndarray, c: Any
) -> dict[str, float]:
    """`c.updates` such steps with gradients of norm `c.max_grad_norm` at most; returns metrics of them and of the fitted policy."""
    steps = [
        guard.attempt(likelihood_step, policy, optimizer, observations, actions, weights, c.max_grad_norm) for _ in range(c.updates)
    ]
    losses = [loss for loss in steps if loss is not None]
    entropy = float(policy.predict(observations).entropy().mean())
    effective = float(weights.sum(dtype=np.float64) ** 2 / (np.square(weights, dtype=np.float64).sum() * len(weights)))
    fitted = {"policy_loss": losses[-1]} if losses else {}
    return {**fitted, "entropy": entropy, "effective_share": effective}
