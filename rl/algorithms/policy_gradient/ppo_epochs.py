"""A whole epoch of PPO in one call: the fast form of `PPO.policy_step` and `PPO.value_step`, minibatch after minibatch.

    for each minibatch of the shuffled rows
        gather its rows → forward → loss and its gradient → backward → shorten the gradient → Adam

A step on 64 rows of a 64-64 network is some 40 µs of arithmetic. Python's calls around it take twice as long as that, and hold
Python's lock, so that policy and value cannot run side by side. Here the lock is free from the first minibatch to the last.

This file finds out whether it knows a case, and lays out what the kernels of ppo_kernels.py need.

These functions know float32 on the CPU, networks of `Linear`s with tanh, relu or sine between them, Gaussians whose σ does not
depend on the state, and choices. They return None for anything else: then the plain steps do the work.

Shapes: B rows, M minibatches, O observation, A action dimensions, K branches of C choices in all.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from deepnp import Module
from deepnp.backend import kernel_runs
from deepnp.blas import find_sgemm
from deepnp.layers.containers import whole
from deepnp.optim import Adam, adam
from deepnp.parameters import lies_in
from rl.algorithms.policy_gradient.ppo_kernels import (
    EMPTY,
    NO_CHOICES,
    NO_GAUSSIANS,
    Choices,
    Descent,
    Gaussians,
    Network,
    policy_steps,
    value_steps,
)
from rl.experience.minibatches import Shuffle
from rl.experience.sequences import SequenceShuffle
from rl.guards import Guard
from rl.losses.checks import check_finite, check_gradient
from rl.networks.branches import Distribution
from rl.networks.masks import Unmasked
from rl.networks.policies import ChoicePolicy, GaussianPolicy, Policy

SINGLE = np.dtype(np.float32)


class ValueLearner(Protocol):
    """What has a value to train."""

    guard: Guard
    value: Module
    value_optimizer: Adam


class Learner(ValueLearner, Protocol):
    """What has a policy to train besides: a PPO agent."""

    policy: Policy
    policy_optimizer: Adam


def policy_epoch(agent: Learner, columns: tuple, old: Distribution, shuffled: Shuffle | SequenceShuffle, c: Any) -> list | None:
    """`PPO.policy_step` on each minibatch: what it returns for each, or None where this form does not know the case.

    Parameters
    ----------
    agent : PPO
    columns : tuple
        Observations (B, O), actions (B, A), (B,) or (B, K), advantages (B,), ln π_old (B,).
    old : distribution
        π_old of these rows.
    shuffled : Shuffle
        The rows' order, and where minibatches begin and end.
    c : PPOConfig
        As it is now: numbers in the place of schedules.

    Raises
    ------
    NonFiniteError
        As the plain step does, when a loss or a gradient is NaN or infinite, unless the agent's
        guard leaves such steps out. The steps before it are taken.
    """
    if not isinstance(shuffled, Shuffle):
        return None
    observations, actions, *numbers = columns
    heads = _heads(agent.policy, actions, old, len(shuffled.order))
    if heads is None:
        return None
    network = agent.policy.mean if heads[1] is NO_CHOICES else agent.policy.logits
    both = _descent(network, agent.policy_optimizer, shuffled, c.max_grad_norm, observations, *numbers)
    if both is None:
        return None
    log, optimizer = np.zeros((shuffled.parts, 3)), agent.policy_optimizer
    settings = c.clip_range, c.entropy_coef, float(c.kl_weight), c.normalize_advantages

    def run(first, constants):
        descent, bounds = both[1]._replace(constants=constants), shuffled.bounds[first:]
        return policy_steps(both[0], descent, *heads, shuffled.order, bounds, both[2], *numbers, *settings, log[first:])

    return _steps(run, optimizer, agent.guard, log, log[:, 0], "policy")


def value_epoch(agent: ValueLearner, columns: tuple, shuffled: Shuffle | SequenceShuffle, c: Any) -> list | None:
    """`PPO.value_step` on each minibatch: the losses, or None where this form does not know the case.

    As `policy_epoch`; the columns are observations (B, O), V_old (B,) and R (B,).
    """
    if not isinstance(shuffled, Shuffle):
        return None
    both = _descent(agent.value, agent.value_optimizer, shuffled, c.max_grad_norm, *columns)
    if both is None:
        return None
    log, settings = np.zeros(shuffled.parts), (math.inf if c.value_clip is None else c.value_clip, c.value_coef)

    def run(first, constants):
        descent, bounds = both[1]._replace(constants=constants), shuffled.bounds[first:]
        return value_steps(both[0], descent, shuffled.order, bounds, both[2], *columns[1:], *settings, log[first:])

    return _steps(run, agent.value_optimizer, agent.guard, log, log, "value")


def _descent(module, optimizer, shuffled, max_norm, observations, *numbers) -> tuple[Network, Descent, np.ndarray] | None:
    """What the kernels need to know of a network and its optimizer, and the observations (B, O).

    None unless they know all of it, and all fits together.
    """
    module, observations = _without_mask(module, observations)
    vector, stack = optimizer.vector, whole(module)
    if stack is None or vector.stale:
        return None
    vectors = (vector.data, vector.grad, optimizer.state["m"], optimizer.state["v"])
    layout, (address, wide), rows = stack.layout, find_sgemm(), len(shuffled.order)
    if not (address and layout.for_kernels and kernel_runs(*vectors, *numbers) and vector.data.dtype == SINGLE):
        return None
    if type(observations) is not np.ndarray or not kernel_runs(observations, vector.data):
        return None
    fits = observations.shape == (rows, layout.widths[0]) and all(x.shape == (rows,) for x in numbers)
    if not fits or not lies_in(stack.layers[0].weight.data, vector.data):
        return None
    own = slice(len(vector) - layout.size, None)  # what else a policy trains stands before its network
    network = Network(address, wide, *layout.for_kernels, vector.data[own], vector.grad[own])
    return network, Descent(*vectors, EMPTY[:, None], float(max_norm)), observations


def _without_mask(module, observations):
    """A network that reads a vector alone, and the vector, where a mask stands beside it."""
    masked = isinstance(module, Unmasked) and len(observations) == 2
    return (module.network, observations[0]) if masked else (module, observations)


def _constants(optimizer, count):
    """Adam's constants of the next steps, a row each: (count, 7)."""
    t = optimizer.t + np.arange(1, count + 1)
    rows = np.empty((count, 7), SINGLE)
    for column, constant in zip(rows.T, adam.adam_constants(optimizer.lr, optimizer.betas, optimizer.eps, t), strict=True):
        column[...] = constant
    return rows


def _heads(policy, actions, old, rows) -> tuple[Gaussians, Choices] | None:
    """How the kernels read the policy's outputs; None where they cannot."""
    if isinstance(policy, GaussianPolicy):
        return _gaussians(policy, actions, old, rows)
    return _choices(policy, actions, old.logits, rows) if isinstance(policy, ChoicePolicy) else None


def _gaussians(policy, actions, old, rows):
    if policy.kind == "network" or policy.settings.kind != "gaussian" or not kernel_runs(actions, old.mean):
        return None
    sigma = policy.state_free_sigma()[None]
    fits = actions.shape == old.mean.shape == (rows, sigma.shape[1]) and sigma[0].shape == old.sigma.shape
    if not fits or {actions.dtype, old.mean.dtype, old.sigma.dtype, sigma.dtype} != {SINGLE}:
        return None
    log_sigma = (policy.log_sigma.data, policy.log_sigma.grad) if policy.kind == "vector" else (EMPTY, EMPTY)
    return Gaussians(actions, old.mean, old.sigma, sigma, *log_sigma), NO_CHOICES


def _choices(policy, actions, old_logits, rows):
    layout = policy.action
    sizes = np.array(layout.choices, np.int64)
    if layout.kind == "MultiBinary" or actions.dtype != np.int64 or actions.size != rows * len(sizes):
        return None
    if not kernel_runs(old_logits) or old_logits.dtype != SINGLE or old_logits.shape != (rows, sizes.sum()):
        return None
    chosen = np.ascontiguousarray(actions).reshape(rows, len(sizes))
    inside = (chosen.min(axis=0, initial=0) >= 0) & (chosen.max(axis=0, initial=0) < sizes)
    return (NO_GAUSSIANS, Choices(chosen, old_logits, sizes, policy.masked)) if inside.all() else None


def _steps(run: Callable, optimizer: Adam, guard: Guard, log: np.ndarray, losses: np.ndarray, name: str) -> list:
    """All steps of an epoch, counted: what they logged, but for those that were left out.

    `run(first, constants)` takes steps from number `first` on; returns how many, before one that
    cannot be taken.
    """
    first, taken = 0, np.ones(len(log), bool)
    while first < len(log):
        done = run(first, _constants(optimizer, len(log) - first))
        optimizer.t += done
        first += done
        if first < len(log):
            guard.attempt(_refuse, optimizer, losses[first], name)
            taken[first] = False
            first += 1
    return log[taken].tolist()


def _refuse(optimizer, loss, name):
    """Raise as the plain form does: one of the two is not finite."""
    check_finite(f"{name} loss", loss)
    check_gradient(f"{name}'s gradient", optimizer.vector)
