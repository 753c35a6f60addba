"""The two steps that the plain policy-gradient algorithms take: one of the policy, and one of the value.

    θ ← descent on  −(1/B) Σ ψ ln π(a|s) − β (1/B) Σ H(π(·|s))
    ω ← descent on  c_v (1/B) Σ (V(s) − R)²

ψ says how good an action was; whatever corrects for other policies' actions has been multiplied in. It is a plain number:
nothing flows into it. So ∂/∂ln π = −ψ/B, and the rest is the distribution's own derivative.

Shapes: B rows, A action dimensions.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from deepnp import Module
from deepnp.losses import mse
from deepnp.optim import Adam, Optimizer, RMSprop
from deepnp.parameters import ParameterVector
from rl.algorithms.policy_gradient.steps import gradient_step
from rl.experience.samples import Samples
from rl.experience.trees import Observations
from rl.guards import Guard
from rl.losses.checks import check_finite
from rl.networks.policies import Policy

OPTIMIZERS = ("adam", "rmsprop")


class Valuing(Protocol):
    """What has a value to fit: an agent."""

    value: Module
    rngs: dict[str, np.random.Generator]
    guard: Guard

    @property
    def value_optimizer(self) -> Optimizer: ...


def optimizer_of(kind: str, vector: ParameterVector, lr: float, eps: float) -> Optimizer:
    """The optimizer of that name."""
    return Adam(vector, lr, eps=eps) if kind == "adam" else RMSprop(vector, lr, eps=eps)


def policy_step(
    policy: Policy, optimizer: Optimizer, observations: Observations, actions: np.ndarray, psi: np.ndarray, c: Any
) -> dict[str, float]:
    """One step of the policy on rows (B, …); returns metrics.

    Parameters
    ----------
    policy : Policy
    optimizer : Optimizer
        Of the policy.
    observations, actions : (B, …)
    psi : array (B,)
        ψ.
    c : config
        With `entropy_coef`, β, and `max_grad_norm`, as they are now.

    Raises
    ------
    NonFiniteError
        If the loss or the gradient is NaN or infinite: then the policy stays as it is.
    """
    distribution, size = policy.forward(observations), len(psi)
    log_prob, entropy = distribution.log_prob(actions), float(distribution.entropy().mean())
    loss = -float(np.dot(psi, log_prob)) / size - c.entropy_coef * entropy
    check_finite("policy loss", loss)
    gradient = distribution.log_prob_backward(actions, (psi / -size).astype(log_prob.dtype))
    if c.entropy_coef:
        bonus = distribution.entropy_backward(np.full(size, -c.entropy_coef / size, log_prob.dtype))
        gradient = tuple(g + b for g, b in zip(gradient, bonus, strict=True))
    gradient_step("policy", policy, optimizer, gradient, c.max_grad_norm)
    return {"policy_loss": loss, "entropy": entropy}


def value_step(
    value: Module, optimizer: Optimizer, observations: Observations, targets: np.ndarray, max_norm: float, weight: float = 1.0
) -> float:
    """One step of the value on rows (B, …), with the loss's weight c_v; returns the loss before it.

    Raises NonFiniteError as `policy_step` does.
    """
    loss, dvalues = mse(value.forward(observations)[:, 0], targets)
    check_finite("value loss", loss)
    gradient_step("value", value, optimizer, weight * dvalues[:, None], max_norm)
    return float(loss)


def value_epochs(
    agent: Valuing,
    samples: Samples,
    c: Any,
    step: Callable[..., float] | None = None,
    epoch: Callable[..., list | None] | None = None,
) -> dict[str, float]:
    """The value's epochs on minibatches of the samples; returns metrics.

    Parameters
    ----------
    agent : Valuing
        "value" of its generators shuffles.
    samples : Samples
    c : config
        With `epochs`, `batch_size` and `max_grad_norm`, as they are now.
    step : callable, optional
        (observations, V_old, R, c) of a minibatch -> loss. None: `value_step`, for which V_old does
        not matter.
    epoch : callable, optional
        The steps of a whole epoch in one call, or None where it does not know the case, as
        ppo_epochs.value_epoch does.
    """

    def plain(observations, _, targets, c):
        return value_step(agent.value, agent.value_optimizer, observations, targets, c.max_grad_norm)

    columns, losses = (samples.observations, samples.values, samples.targets), []
    for _ in range(c.epochs):
        shuffled = samples.shuffle(c.batch_size, agent.rngs["value"])
        taken = epoch(agent, columns, shuffled, c) if epoch else None
        if taken is None:
            taken = [agent.guard.attempt(step or plain, *batch, c) for batch in shuffled.minibatches(columns)]
        losses += [loss for loss in taken if loss is not None]
    return {"value_loss": float(np.mean(losses))} if losses else {}
