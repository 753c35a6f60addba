"""Fitting a learned model: each member on a bootstrap of its own, until rows that no member saw are predicted no better.

    shift, scale ← mean and deviation of [s, a] and of [s′ − s, r]
    hold out a share of the rows; each member draws as many of the others as there are, with replacement
    repeat, at most `epochs` times
        one pass over each member's rows in minibatches: Adam on its loss
        a member whose loss on the held-out rows is lower than ever, by 0.01, keeps its parameters
        stop when none did for `patience` passes
    every member takes back the parameters that it kept; the elites are those of the lowest loss

The held-out loss is the likelihood, as in training. The mean squared error would be that of a few rows: a
number that is almost always the same, such as a reward of 1 until the end, or a collision. Such a row is
predicted no better after many passes in which all others are.

Weights go on from fit to fit. Shapes: E members, B rows, R rows in all, D predicted numbers.
"""

from typing import NamedTuple

import numpy as np

from deepnp.ops.activation.softplus import softplus
from deepnp.optim import Adam
from rl.experience import trees
from rl.experience.replay import ReplayMemory
from rl.losses.checks import check_finite, check_gradient
from rl.losses.models import bound_log_variance
from rl.networks.dynamics import Dynamics

GAIN = 0.01  # nats by which the loss of a number has to fall to count as better
EXACT = 1e-6  # mean squared error, in deviations of the targets, below which nothing counts as better
TINY = 1e-8  # scale of what never changes
MOST_HELD_OUT = 5_000


class Transitions(NamedTuple):
    """R steps of an environment."""

    observations: np.ndarray  # (R, O)
    actions: np.ndarray  # (R, A), or choices (R,)
    rewards: np.ndarray  # (R,)
    following: np.ndarray  # (R, O)
    terminated: np.ndarray  # (R,)


class Schedule(NamedTuple):
    """How long a fit lasts, and on what."""

    batch_size: int
    epochs: int
    holdout: float
    patience: int


def transitions_of(memory: ReplayMemory) -> Transitions:
    """All that a memory holds."""
    rows = memory.filled()
    before, after = (trees.vector(tree)[rows] for tree in (memory.observations, memory.next_observations))
    return Transitions(before, memory.actions[rows], memory.rewards[rows], after, memory.terminated[rows])


def fit(model: Dynamics, optimizer: Adam, data: Transitions, plan: Schedule, rng: np.random.Generator) -> dict[str, float]:
    """Fit the model to the data.

    Returns
    -------
    dict
        "model_loss" of the last pass, "model_error": the elites' mean squared error on held-out rows,
        in variances of the targets, and "model_epochs".

    Raises
    ------
    ValueError
        If there are no rows.
    NonFiniteError
        If a loss or a gradient is NaN or infinite.
    """
    if not len(data.rewards):
        raise ValueError("expected transitions to fit a model to, given none")
    standardize(model, data)
    x, y = model.inputs(data.observations, data.actions), model.targets(data.observations, data.rewards, data.following)
    columns = x, y.astype(x.dtype), data.terminated.astype(x.dtype)
    order = rng.permutation(len(x))
    held = min(int(plan.holdout * len(x)), MOST_HELD_OUT)
    kept, seen = (order[:held], order[held:]) if held else (order, order)
    bootstrap = seen[rng.integers(len(seen), size=(model.members, len(seen)))]  # (E, R)
    best, parameters = np.full(model.members, np.inf), [p.data.copy() for p in model.member_parameters()]
    waited = epochs = 0
    loss = 0.0
    while epochs < plan.epochs and waited <= plan.patience:
        loss = one_pass(model, optimizer, columns, rng.permuted(bootstrap, axis=1), plan.batch_size)
        losses = held_out_losses(model, columns, kept)
        better = losses < best - GAIN
        for own, p in zip(parameters, model.member_parameters(), strict=True):
            own[better] = p.data[better]
        best = np.where(better, losses, best)
        epochs, waited = epochs + 1, 0 if better.any() else waited + 1
    for own, p in zip(parameters, model.member_parameters(), strict=True):
        p.data[...] = own
    model.elites[...] = np.argsort(best, kind="stable")[: len(model.elites)]
    error = float(squared_errors(model, columns, kept)[model.elites].mean())
    return {"model_loss": loss, "model_error": error, "model_epochs": float(epochs)}


def standardize(model: Dynamics, data: Transitions) -> None:
    """Let inputs and targets of these data have mean 0 and deviation 1, and let predictions stay near them."""
    model.input_shift.data[...], model.input_scale.data[...] = 0, 1
    model.shift.data[...], model.scale.data[...] = 0, 1
    moments = model.inputs(data.observations, data.actions), model.targets(data.observations, data.rewards, data.following)
    for values, shift, scale in zip(moments, (model.input_shift, model.shift), (model.input_scale, model.scale), strict=True):
        shift.data[...] = values.mean(axis=0, dtype=np.float64)
        scale.data[...] = values.std(axis=0, dtype=np.float64) + TINY
    model.input_scale.data[model.input_scale.data < 1e-6] = 1  # what never changed would be blown up where it does
    reached = np.concatenate([data.following, data.rewards[:, None]], axis=1)
    low, high = reached.min(axis=0), reached.max(axis=0)
    model.lowest.data[...], model.highest.data[...] = low - (high - low), high + (high - low)


def one_pass(model: Dynamics, optimizer: Adam, columns: tuple, rows: np.ndarray, batch_size: int) -> float:
    """Minibatches of every member's rows (E, R), in their order; returns the mean loss of a member."""
    losses = []
    for start in range(0, rows.shape[1], batch_size):
        batch = rows[:, start : start + batch_size]  # (E, B)
        optimizer.vector.zero_grad()
        losses.append(model.add_gradient(*(column[batch] for column in columns)))
        check_finite("model's loss", losses[-1])
        check_gradient("model's gradient", optimizer.vector)
        optimizer.step()
    return float(np.mean(losses)) / model.members


def held_out_losses(model: Dynamics, columns: tuple, rows: np.ndarray) -> np.ndarray:
    """Each member's negative log-likelihood (E,) of these rows, the mean over the D numbers and the end.

    A deterministic member is taken as a Gaussian, each number's variance that of its errors: then
    the likelihood of a number is that of ½ ln of its mean squared error.
    """
    x, y, ended = (column[rows] for column in columns)
    mean, raw, logits = model.split(model.predict(x[None]))
    squares = np.square(mean - y)  # (E, B, D)
    if model.gaussian:
        log_variance = bound_log_variance(raw, model.low.data, model.high.data)
        numbers = 0.5 * (squares * np.exp(-log_variance) + log_variance).mean(axis=1)
    else:
        numbers = 0.5 * np.log(squares.mean(axis=1) + EXACT)
    ends = (softplus(logits) - ended * logits).mean(axis=1)
    return (numbers.sum(axis=1) + ends) / (numbers.shape[1] + 1)


def squared_errors(model: Dynamics, columns: tuple, rows: np.ndarray) -> np.ndarray:
    """Each member's mean squared error (E,) of standardised targets in these rows."""
    x, y, _ = (column[rows] for column in columns)
    return np.square(model.split(model.predict(x[None]))[0] - y).mean(axis=(1, 2))
