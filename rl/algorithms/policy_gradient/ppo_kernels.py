"""The kernels of ppo_epochs.py: all steps of an epoch, one minibatch after the other, without Python in between.

The parts are the kernels that the plain steps call one after the other: those of ops.mlp, of the Gaussian, of both losses and of
Adam. Only the softmax over choices, the gradients of H and KL, and the gradient's norm are written again.

Shapes: B rows, M minibatches, n rows of one of them, O observation, A action dimensions, K branches of C choices in all.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp.backend import ordered_kernel
from deepnp.ops import mlp
from deepnp.optim import adam
from rl.losses.checks import sum_of_squares
from rl.losses.surrogate import _clipped_surrogate, _standardize, _value_loss
from rl.networks.distributions import _log_prob, _log_prob_backward

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
    """Actions (B, A), σ of N(outputs, σ²), and π_old; empty for a policy over choices."""

    actions: np.ndarray
    old_mean: np.ndarray  # (B, A)
    old_sigma: np.ndarray  # (A,)
    sigma: np.ndarray  # (1, A)
    log_sigma: np.ndarray  # (A,), or empty where σ is not trained
    dlog_sigma: np.ndarray


class Choices(NamedTuple):
    """Choices (B, K), π_old's logits, and how many choices each branch has (K,); empty for a Gaussian policy.

    Where choices are masked, π_old's logit of one that is excluded is −∞.
    """

    chosen: np.ndarray
    old_logits: np.ndarray  # (B, C)
    sizes: np.ndarray
    masked: bool


NO_GAUSSIANS = Gaussians(EMPTY[:, None], EMPTY[:, None], EMPTY, EMPTY[:, None], EMPTY, EMPTY)
NO_CHOICES = Choices(np.zeros((0, 0), np.int64), EMPTY[:, None], np.zeros(0, np.int64), False)


@ordered_kernel
def policy_steps(
    net,
    descent,
    gaussians,
    choices,
    order,
    bounds,
    observations,
    advantages,
    old_log_prob,
    clip,
    entropy_coef,
    kl_coef,
    normalize,
    log,
) -> int:
    """The steps; returns how many were taken before a loss or a gradient that is not finite."""
    most, outputs, total = (bounds[1:] - bounds[:-1]).max(), net.widths[-1], mlp._blocks(net.widths, net.codes).sum()
    x, y, dy = _buffer(most, observations.shape[1]), np.empty(most * total, np.float32), _buffer(most, outputs)
    actions, sigma, dsigma = _buffer(most, gaussians.actions.shape[1]), gaussians.sigma, np.empty_like(gaussians.sigma)
    chosen, log_p = np.empty((most, len(choices.sizes)), np.int64), _buffer(most, outputs)
    old_logits, old_log_p = _buffer(most, outputs), _buffer(most, outputs)
    log_prob, old, advantage, dlog_prob = _buffer(4, most)
    for b in range(len(log)):
        rows = order[bounds[b] : bounds[b + 1]]
        n = len(rows)
        outputs_n = _forward(net, observations, rows, x, y)
        if len(choices.sizes) > 0:
            _gather(choices.chosen, rows, chosen)
            if choices.masked:
                _exclude(choices.old_logits, rows, outputs_n)
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
            if kl_coef > 0:
                _gather(choices.old_logits, rows, old_logits)
                _log_prob_of_choices(old_logits[:n], choices.sizes, chosen, old_log_p, old)
                _kl_backward_of_choices(old_log_p, log_p[:n], kl_coef / n, dy)
        else:
            dsigma[:] = 0
            _log_prob_backward(actions[:n], outputs_n, sigma, dlog_prob, dy, dsigma)
            if kl_coef > 0:
                _kl_backward_of_gaussians(gaussians, rows, outputs_n, sigma, kl_coef / n, dy, dsigma)
            for j in range(len(gaussians.log_sigma)):
                gaussians.dlog_sigma[j] = dsigma[0, j] * sigma[0, j] - np.float32(entropy_coef)  # H's gradient is 1/σ · σ
        _backward(net, x, y, dy, n)
        if not _step(descent, b):
            return b
    return len(log)


@ordered_kernel
def value_steps(net, descent, order, bounds, observations, old_values, targets, clip, coefficient, log) -> int:
    """The steps; returns how many were taken before a loss or a gradient that is not finite."""
    most, total = (bounds[1:] - bounds[:-1]).max(), mlp._blocks(net.widths, net.codes).sum()
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
def _exclude(old_logits, rows, logits):
    """Logits (n, C) are −∞ where those of π_old are."""
    for i in range(len(rows)):
        for j in range(logits.shape[1]):
            if old_logits[rows[i], j] == -np.inf:
                logits[i, j] = -np.inf


@ordered_kernel
def _forward(net, observations, rows, x, y):
    """The network's outputs (n, …) for some rows; their observations are left in x, all layers' outputs in y."""
    n, outputs, total = len(rows), net.widths[-1], mlp._blocks(net.widths, net.codes).sum()
    _gather(observations, rows, x)
    mlp._forward(net.address, net.wide, net.parameters, net.widths, net.codes, x[:n], y[: n * total])
    return y[n * (total - outputs) : n * total].reshape((n, outputs))


@ordered_kernel
def _backward(net, x, y, dy, n):
    """Add the gradients of what `_forward` left in x and y."""
    values = y[: n * mlp._blocks(net.widths, net.codes).sum()]
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


@ordered_kernel
def _kl_backward_of_choices(old_log_p, log_p, dkl, dlogits):
    """Add dkl·∂KL(π_old‖π)/∂z = dkl·(p − p_old)."""
    for i in range(len(log_p)):
        for j in range(log_p.shape[1]):
            dlogits[i, j] += np.float32(dkl) * (math.exp(log_p[i, j]) - math.exp(old_log_p[i, j]))


@ordered_kernel
def _kl_backward_of_gaussians(gaussians, rows, mean, sigma, dkl, dmean, dsigma):
    """Add dkl·∂KL(π_old‖π) by μ: −(μ_old − μ)/σ², and by σ: 1/σ − (σ_old² + (μ_old − μ)²)/σ³."""
    one, w = np.float32(1), np.float32(dkl)
    for i in range(len(rows)):
        for j in range(mean.shape[1]):
            inverse = one / sigma[0, j]
            gap, ratio = (gaussians.old_mean[rows[i], j] - mean[i, j]) * inverse, gaussians.old_sigma[j] * inverse
            dmean[i, j] -= w * inverse * gap
            dsigma[0, j] += w * inverse * (one - ratio * ratio - gap * gap)
