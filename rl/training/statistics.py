"""How well an algorithm does, from a few runs of it.

The interquartile mean drops the best and the worst quarter, so one run that failed, or shone,
does not decide it. Intervals come from drawing runs again with replacement. All of these are from
Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice".

Two algorithms are compared on several tasks, or on one. What is drawn again is drawn within each
task: strata, so that every resample has as many runs of each task as there are.

Shapes: R runs, M tasks. Numbers of runs may differ between tasks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

BLOCK = 1 << 20  # numbers drawn at once
Interval = tuple[np.ndarray, np.ndarray]


def iqm(scores: ArrayLike, axis: int | None = None) -> np.ndarray:
    """Interquartile mean: the mean without the ⌊n/4⌋ smallest and the ⌊n/4⌋ largest of n scores.

    So it is the plain mean of three scores or fewer. The same as `scipy.stats.trim_mean(scores,
    0.25)`.

    Parameters
    ----------
    scores : array
    axis : int, optional
        All scores together by default.

    Returns
    -------
    array, without that axis

    Raises
    ------
    ValueError
        If there are none.
    """
    scores = np.asarray(scores, float)
    scores = np.moveaxis(scores.ravel() if axis is None else scores, -1 if axis is None else axis, -1)
    n = scores.shape[-1]
    if n == 0:
        raise ValueError(f"expected at least one score, given shape {scores.shape}")
    return np.sort(scores, axis=-1)[..., n // 4 : n - n // 4].mean(axis=-1)


def optimality_gap(scores: ArrayLike, axis: int | None = None, target: float = 1.0) -> np.ndarray:
    """How far scores stay below a target γ on average: mean max(γ − x, 0). Less is better.

    What is beyond the target counts for nothing, unlike in a mean.

    Parameters
    ----------
    scores : array
        Normalised, so that `target` means the same in every task.
    axis : int, optional
        All scores together by default.
    target : float
        γ.

    Raises
    ------
    ValueError
        If there are none.
    """
    scores = np.asarray(scores, float)
    if scores.size == 0:
        raise ValueError(f"expected at least one score, given shape {scores.shape}")
    return np.maximum(target - scores, 0).mean(axis=axis)


def bootstrap_interval(scores: ArrayLike, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0) -> Interval:
    """Percentile interval of the interquartile mean over runs of one task.

    R scores are drawn from the R given ones, with replacement, `resamples` times; the interval
    lies between the quantiles (1 ∓ confidence)/2 of their interquartile means. With few runs it
    is too narrow: it knows nothing of runs that it has not seen, and of a single run it is that
    run's score.

    Parameters
    ----------
    scores : array (R, ...)
        The runs lie along the first axis; what lies along the others is drawn together.
    confidence : float
        In (0, 1).
    resamples, seed : int

    Returns
    -------
    low, high : arrays (...)

    Raises
    ------
    ValueError
        If there are no scores, or `confidence` is outside (0, 1).
    """
    scores = np.asarray(scores, float)
    if scores.ndim == 0 or scores.size == 0:
        raise ValueError(f"expected scores of at least one run, given shape {scores.shape}")
    runs = len(scores)
    drawn = np.random.default_rng(seed).integers(runs, size=(resamples, runs))
    block = max(1, BLOCK // scores.size)
    means = [iqm(scores[drawn[i : i + block]], axis=1) for i in range(0, resamples, block)]
    return _percentiles(np.concatenate(means), confidence)


def stratified_interval(
    tasks: Sequence[ArrayLike],
    statistic: Callable[..., np.ndarray] = iqm,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic of all runs of several tasks, by the stratified bootstrap.

    Each resample draws R_m of the R_m runs of every task m, with replacement and independently;
    the statistic is taken over all ΣR_m of them together.

    Parameters
    ----------
    tasks : sequence of arrays (R_m,)
        The runs' scores, task by task. Normalise them first, or the task with the largest numbers
        decides.
    statistic : callable
        `statistic(scores, axis=…)`, such as `iqm`, `optimality_gap` or `numpy.mean`.
    confidence : float
        In (0, 1).
    resamples, seed : int

    Returns
    -------
    low, high : arrays ()

    Raises
    ------
    ValueError
        If a task has no scores, or `confidence` is outside (0, 1).
    """
    rng, known = np.random.default_rng(seed), _checked(tasks, "tasks")
    block = max(1, BLOCK // sum(map(len, known)))
    values = []
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        drawn = [x[rng.integers(len(x), size=(count, len(x)))] for x in known]
        values.append(statistic(np.concatenate(drawn, axis=1), axis=1))
    return _percentiles(np.concatenate(values), confidence)


def probability_of_improvement(x: Sequence[ArrayLike], y: Sequence[ArrayLike]) -> float:
    """How probably a run of X scores more than a run of Y, on a task picked at random.

        P(X > Y) = 1/M Σ_m P(X_m > Y_m)
        P(X_m > Y_m) = 1/(R R′) Σ_i Σ_j S(x_i, y_j)        S = 1 where x_i > y_j, ½ where equal, else 0

    The sum over i and j is the Mann–Whitney U statistic. The size of an improvement plays no part,
    so scores need no normalisation.

    Parameters
    ----------
    x, y : sequences of arrays (R_m,), (R′_m,)
        Scores, task by task; the tasks in the same order.

    Raises
    ------
    ValueError
        If they have different numbers of tasks, or a task has no scores.
    """
    return float(np.mean([wins.mean() for wins in _wins(x, y)]))


def improvement_interval(
    x: Sequence[ArrayLike], y: Sequence[ArrayLike], confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Percentile interval of `probability_of_improvement`; runs of X and of Y are drawn within each task, independently."""
    rng, tables = np.random.default_rng(seed), _wins(x, y)
    values = np.zeros(resamples)
    for wins in tables:
        rows, columns = (rng.multinomial(n, np.full(n, 1 / n), resamples) / n for n in wins.shape)
        values += ((rows @ wins) * columns).sum(axis=1) / len(tables)
    return _percentiles(values, confidence)


def performance_profile(tasks: Sequence[ArrayLike], thresholds: ArrayLike) -> np.ndarray:
    """The share of runs with scores above τ, averaged over tasks: F(τ) = 1/M Σ_m 1/R_m Σ_i [x_mi > τ].

    Parameters
    ----------
    tasks : sequence of arrays (R_m,)
    thresholds : array (T,)
        τ.

    Returns
    -------
    array (T,)
    """
    above = [np.greater.outer(x, np.asarray(thresholds, float)) for x in _checked(tasks, "tasks")]
    return np.mean([shares.mean(axis=0) for shares in above], axis=0)


def score_text(score: float) -> str:
    """A score for people: one decimal from 100 on, three digits below."""
    return f"{score:,.1f}" if abs(score) >= 100 else f"{score:.3g}"


def _checked(tasks: Any, name: str) -> list[np.ndarray]:
    """Scores of each task as arrays (R_m,)."""
    known = [np.asarray(scores, float) for scores in tasks]
    shapes = [scores.shape for scores in known]
    if not known or any(len(shape) != 1 or shape[0] == 0 for shape in shapes):
        raise ValueError(f"expected {name} as a sequence with an array of at least one score each, given shapes {shapes}")
    if not all(np.isfinite(scores).all() for scores in known):
        raise ValueError(f"expected finite scores in {name}, given NaN or infinity")
    return known


def _wins(x, y) -> list[np.ndarray]:
    """S of every pair of runs, a table (R, R′) for each task."""
    left, right = _checked(x, "x"), _checked(y, "y")
    if len(left) != len(right):
        raise ValueError(f"expected as many tasks of x as of y, given {len(left)} and {len(right)}")
    return [np.greater.outer(a, b) + 0.5 * np.equal.outer(a, b) for a, b in zip(left, right, strict=True)]


def _percentiles(values: np.ndarray, confidence: float) -> Interval:
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence in (0, 1), given {confidence}")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high
