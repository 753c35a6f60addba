"""How well an algorithm does, from a few runs of it.

The interquartile mean drops the best and the worst quarter, so one run that failed, or shone,
does not decide it; its interval comes from drawing runs again with replacement (Agarwal et al.
2021, "Deep reinforcement learning at the edge of the statistical precipice").

Shapes: R runs.
"""

import numpy as np
from numpy.typing import ArrayLike

BLOCK = 1 << 20  # numbers drawn at once


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


def bootstrap_interval(
    scores: ArrayLike, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the interquartile mean over runs.

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
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence in (0, 1), given {confidence}")
    runs = len(scores)
    drawn = np.random.default_rng(seed).integers(runs, size=(resamples, runs))
    block = max(1, BLOCK // scores.size)
    means = [iqm(scores[drawn[i : i + block]], axis=1) for i in range(0, resamples, block)]
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high
