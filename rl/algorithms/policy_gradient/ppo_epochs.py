"""A whole epoch of PPO in one call: the fast form of `PPO.policy_step` and `PPO.value_step`, minibatch after minibatch.

    for each minibatch of the shuffled rows
        gather its rows → forward → loss and its gradient → backward → shorten the gradient → Adam

A step on 64 rows of a 64-64 network is some 40 µs of arithmetic. Python's calls around it take twice as long as that, and hold
Python's lock, so that policy and value cannot run side by side. Here the lock is free from the first minibatch to the last.

The parts are the kernels that the plain steps call one after the other: those of ops.mlp, of the Gaussian, of both losses and of
Adam. Only the softmax over choices and the gradient's norm are written again.

These functions know float32 on the CPU, networks of `Linear`s with tanh or relu between them, Gaussians whose σ does not
depend on the state, and choices. They return None for anything else: then the plain steps do the work.

Shapes: B rows, M minibatches, n rows of one of them, O observation, A action dimensions, K branches of C choices in all.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from deepnp import Module
from deepnp.backend import kernel_runs, ordered_kernel
from deepnp.blas import find_sgemm
from deepnp.layers.containers import whole
from deepnp.ops import mlp
from deepnp.optim import Adam, adam
from deepnp.parameters import lies_in
from rl.experience.minibatches import Shuffle
from rl.guards import Guard
from rl.losses.checks import check_finite, check_gradient, sum_of_squares
from rl.losses.surrogate import _clipped_surrogate, _standardize, _value_loss
from rl.networks.branches import Distribution
from rl.networks.distributions import _log_prob, _log_prob_backward
from rl.networks.policies import ChoicePolicy, GaussianPolicy, Policy

SINGLE = np.dtype(np.float32)
EMPTY = np.zeros(0, np.float32)


class Network(NamedTuple):
    """A stack of dense layers, as the kernels of ops.mlp take it."""

    address: int  # of BLAS's sgemm, and whether it counts with 64 bits
    wide: bool
    widths: np.ndarray
    codes: np.ndarray  # of the activations
    parameters: np.ndarray  # and their gradients: the last part of the optimizer's vectors
    dparameters: np.ndarray


class Descent(NamedTuple):
    """An optimizer, its vectors, and its constants for each of M steps."""

    theta: np.ndarray
    g: np.ndarray
    m: np.ndarray
    v: np.ndarray
    constants: np.ndarray  # (M, 7)
    max_norm: float


class Gaussians(NamedTuple):
    """Actions (B, A) and σ of N(outputs, σ²); empty for a policy over choices."""

    actions: np.ndarray
    sigma: np.ndarray  # (1, A)
    log_sigma: np.ndarray  # (A,), or empty where σ is not trained
    dlog_sigma: np.ndarray


class Choices(NamedTuple):
    """Choices (B, K), and how many there are in each branch (K,); empty for a Gaussian policy."""

    chosen: np.ndarray
    sizes: np.ndarray


NO_GAUSSIANS = Gaussians(EMPTY[:, None], EMPTY[:, None], EMPTY, EMPTY)
NO_CHOICES = Choices(np.zeros((0, 0), np.int64), np.zeros(0, np.int64))


class Learner(Protocol):
    """What is trained: a PPO agent."""

    guard: Guard
    policy: Policy
    value: Module
    policy_optimizer: Adam
    value_optimizer: Adam


def policy_epoch(agent: Learner, columns: tuple, old: Distribution, shuffled: Shuffle, c: Any) -> list | None:
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
    observations, actions, *numbers = columns
    heads = _heads(agent.policy, actions, len(shuffled.order))
    if heads is None or c.kl_weight:
        return None
    network = agent.policy.mean if heads[1] is NO_CHOICES else agent.policy.logits
    both = _descent(network, agent.policy_optimizer, shuffled, c.max_grad_norm, observations, *numbers)
    if both is None:
        return None
    log, optimizer = np.zeros((shuffled.parts, 3)), agent.policy_optimizer
    settings = c.clip_range, c.entropy_coef, c.normalize_advantages

    def run(first, constants):
        descent, bounds = both[1]._replace(constants=constants), shuffled.bounds[first:]
        return _policy_epoch(both[0], descent, *heads, shuffled.order, bounds, observations, *numbers, *settings, log[first:])

    return _steps(run, optimizer, agent.guard, log, log[:, 0], "policy")


def value_epoch(agent: Learner, columns: tuple, shuffled: Shuffle, c: Any) -> list | None:
    """`PPO.value_step` on each minibatch: the losses, or None where this form does not know the case.

    As `policy_epoch`; the columns are observations (B, O), V_old (B,) and R (B,).
    """
    both = _descent(agent.value, agent.value_optimizer, shuffled, c.max_grad_norm, *columns)
    if both is None:
        return None
    log, settings = np.zeros(shuffled.parts), (math.inf if c.value_clip is None else c.value_clip, c.value_coef)

    def run(first, constants):
        descent, bounds = both[1]._replace(constants=constants), shuffled.bounds[first:]
        return _value_epoch(both[0], descent, shuffled.order, bounds, *columns, *settings, log[first:])

    return _steps(run, agent.value_optimizer, agent.guard, log, log, "value")


def _descent(module, optimizer, shuffled, max_norm, observations, *numbers) -> tuple[Network, Descent] | None:
    """What the kernels need to know of a network and its optimizer; None unless they know all of it, and all fits together."""
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
    return network, Descent(*vectors, EMPTY[:, None], float(max_norm))


def _constants(optimizer, count):
    """Adam's constants of the next steps, a row each: (count, 7)."""
    t = optimizer.t + np.arange(1, count + 1)
    rows = np.empty((count, 7), SINGLE)
    for column, constant in zip(rows.T, adam.adam_constants(optimizer.lr, optimizer.betas, optimizer.eps, t), strict=True):
        column[...] = constant
    return rows


def _heads(policy, actions, rows) -> tuple[Gaussians, Choices] | None:
    """How the kernels read the policy's outputs; None where they cannot."""
    if isinstance(policy, GaussianPolicy):
        return _gaussians(policy, actions, rows)
    return _choices(policy.action, actions, rows) if isinstance(policy, ChoicePolicy) else None


def _gaussians(policy, actions, rows):
    if policy.kind == "network" or not kernel_runs(actions) or actions.dtype != SINGLE:
        return None
    sigma = policy.state_free_sigma()[None]
    if actions.shape != (rows, sigma.shape[1]) or sigma.dtype != SINGLE:
        return None
    log_sigma = (policy.log_sigma.data, policy.log_sigma.grad) if policy.kind == "vector" else (EMPTY, EMPTY)
    return Gaussians(actions, sigma, *log_sigma), NO_CHOICES


def _choices(layout, actions, rows):
    sizes = np.array(layout.choices, np.int64)
    if layout.kind == "MultiBinary" or actions.dtype != np.int64 or actions.size != rows * len(sizes):
        return None
    chosen = np.ascontiguousarray(actions).reshape(rows, len(sizes))
    inside = (chosen.min(axis=0, initial=0) >= 0) & (chosen.max(axis=0, initial=0) < sizes)
    return (NO_GAUSSIANS, Choices(chosen, sizes)) if inside.all() else None


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


@ordered_kernel
def _policy_epoch(
    net, descent, gaussians, choices, order, bounds, observations, advantages, old_log_prob, clip, entropy_coef, normalize, log
):
    """The steps; returns how many were taken before a loss or a gradient that is not finite."""
    most, outputs, total = (bounds[1:] - bounds[:-1]).max(), net.widths[-1], net.widths[1:].sum()
    x, y, dy = _buffer(most, observations.shape[1]), np.empty(most * total, np.float32), _buffer(most, outputs)
    actions, sigma, dsigma = _buffer(most, gaussians.actions.shape[1]), gaussians.sigma, np.empty_like(gaussians.sigma)
    chosen, log_p = np.empty((most, len(choices.sizes)), np.int64), _buffer(most, outputs)
    log_prob, old, advantage, dlog_prob = _buffer(4, most)
    for b in range(len(log)):
        rows = order[bounds[b] : bounds[b + 1]]
        n = len(rows)
        outputs_n = _forward(net, observations, rows, x, y)
        if len(choices.sizes) > 0:
            _gather(choices.chosen, rows, chosen)
            _log_prob_of_choices(outputs_n, choices.sizes, chosen, log_p, log_prob)
        else:
            for j in range(len(gaussians.log_sigma)):
                sigma[0, j] = math.exp(gaussians.log_sigma[j])
            _gather(gaussians.actions, rows, actions)
            _log_prob(actions[:n], outputs_n, sigma, log_prob)
        for i in range(n):
            old[i], advantage[i] = old_log_prob[rows[i]], advantages[rows[i]]
        if normalize and n > 1:
            _standardize(advantage[:n], advantage)
        value, kl, outside = _clipped_surrogate(log_prob[:n], old, advantage, clip, dlog_prob)
        log[b, 0], log[b, 1], log[b, 2] = value / n, kl / n, outside / n
        if not math.isfinite(value):
            return b
        descent.g[:] = 0
        if len(choices.sizes) > 0:
            _backward_of_choices(log_p[:n], choices.sizes, chosen, dlog_prob, entropy_coef / n, dy)
        else:
            dsigma[:] = 0
            _log_prob_backward(actions[:n], outputs_n, sigma, dlog_prob, dy, dsigma)
            for j in range(len(gaussians.log_sigma)):
                gaussians.dlog_sigma[j] = dsigma[0, j] * sigma[0, j] - np.float32(entropy_coef)  # H's gradient is 1/σ · σ
        _backward(net, x, y, dy, n)
        if not _step(descent, b):
            return b
    return len(log)


@ordered_kernel
def _value_epoch(net, descent, order, bounds, observations, old_values, targets, clip, coefficient, log):
    """The steps; returns how many were taken before a loss or a gradient that is not finite."""
    most, total = (bounds[1:] - bounds[:-1]).max(), net.widths[1:].sum()
    x, y, dy = _buffer(most, observations.shape[1]), np.empty(most * total, np.float32), _buffer(most, 1)
    old, target, dvalues = _buffer(3, most)
    for b in range(len(log)):
        rows = order[bounds[b] : bounds[b + 1]]
        n = len(rows)
        values = _forward(net, observations, rows, x, y)
        for i in range(n):
            old[i], target[i] = old_values[rows[i]], targets[rows[i]]
        log[b] = _value_loss(values[:, 0], old, target, clip, dvalues) / n
        if not math.isfinite(log[b]):
            return b
        descent.g[:] = 0
        for i in range(n):
            dy[i, 0] = np.float32(coefficient) * dvalues[i]
        _backward(net, x, y, dy, n)
        if not _step(descent, b):
            return b
    return len(log)


@ordered_kernel
def _buffer(rows, columns):
    return np.empty((rows, columns), np.float32)


@ordered_kernel
def _gather(source, rows, target):
    for i in range(len(rows)):
        for j in range(source.shape[1]):
            target[i, j] = source[rows[i], j]


@ordered_kernel
def _forward(net, observations, rows, x, y):
    """The network's outputs (n, …) for some rows; their observations are left in x, all layers' outputs in y."""
    n, outputs, total = len(rows), net.widths[-1], net.widths[1:].sum()
    _gather(observations, rows, x)
    mlp._forward(net.address, net.wide, net.parameters, net.widths, net.codes, x[:n], y[: n * total])
    return y[n * (total - outputs) : n * total].reshape((n, outputs))


@ordered_kernel
def _backward(net, x, y, dy, n):
    """Add the gradients of what `_forward` left in x and y."""
    values = y[: n * net.widths[1:].sum()]
    mlp._backward(net.address, net.wide, net.parameters, net.widths, net.codes, values, dy[:n], x[:0], x[:n], net.dparameters)


@ordered_kernel
def _step(descent, b):
    """Step b of Adam, with a gradient of norm `max_norm` at most; False if that gradient is not finite."""
    norm, c, none = math.sqrt(sum_of_squares(descent.g)), descent.constants[b], np.float32(0)
    if not math.isfinite(norm):
        return False
    if norm > descent.max_norm:
        shorter = np.float32(descent.max_norm / (norm + 1e-6))
        for i in range(len(descent.g)):
            descent.g[i] *= shorter
    adam._step(descent.theta, descent.g, descent.m, descent.v, c[0], c[1], c[2], c[3], c[4], c[5], c[6], none, none)
    return True


@ordered_kernel
def _log_prob_of_choices(logits, sizes, chosen, log_p, log_prob):
    """ln softmax of each branch -> log_p (n, C); ln π of what was chosen -> log_prob (n,)."""
    for i in range(len(logits)):
        start, log_prob[i] = 0, 0
        for k in range(len(sizes)):
            largest, total = logits[i, start], np.float32(0)
            for j in range(start, start + sizes[k]):
                largest = max(largest, logits[i, j])
            for j in range(start, start + sizes[k]):
                total += math.exp(logits[i, j] - largest)
            for j in range(start, start + sizes[k]):
                log_p[i, j] = logits[i, j] - largest - math.log(total)
            log_prob[i] += log_p[i, start + chosen[i, k]]
            start += sizes[k]


@ordered_kernel
def _backward_of_choices(log_p, sizes, chosen, dlog_prob, bonus, dlogits):
    """∂(ln π·dlog_prob − bonus·H)/∂z: (1[a] − p)·dlog_prob + bonus·p(ln p + H), where p·ln p is 0 for p = 0."""
    for i in range(len(log_p)):
        start = 0
        for k in range(len(sizes)):
            entropy = np.float32(0)
            for j in range(start, start + sizes[k]):
                if log_p[i, j] > -np.inf:
                    entropy -= math.exp(log_p[i, j]) * log_p[i, j]
            for j in range(start, start + sizes[k]):
                p, surprise = math.exp(log_p[i, j]), log_p[i, j] if log_p[i, j] > -np.inf else np.float32(0)
                dlogits[i, j] = np.float32(bonus) * p * (surprise + entropy) - p * dlog_prob[i]
            dlogits[i, start + chosen[i, k]] += dlog_prob[i]
            start += sizes[k]
