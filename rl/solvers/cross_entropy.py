"""Cross-entropy search for the best point of a box (Rubinstein 1999; as Chua et al. 2018 plan with it).

    repeat `rounds` times
        σ ← min(σ, half the distance of m to each bound)                so that no draw leaves the box
        x_i ← m + σ ξ_i,   ξ_i ~ N(0, 1) within ±2,   i = 1 … P
        elites ← the K best of x_1 … x_P
        m ← βm + (1 − β) mean(elites),   σ² ← βσ² + (1 − β) var(elites)

Shapes: P candidates, K elites, D numbers.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

WIDTH = 2.0  # deviations at which the Gaussian is cut off


class Search(NamedTuple):
    """How long, and among how many candidates, to search.

    Attributes
    ----------
    candidates, elites, rounds : int
        P, K, and how often the distribution is fitted.
    smoothing : float
        β in [0, 1): what stays of the last distribution.
    """

    candidates: int
    elites: int
    rounds: int
    smoothing: float


def cross_entropy_search(
    score: Callable[[np.ndarray], np.ndarray], mean: np.ndarray, sigma: np.ndarray, search: Search, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Search in [−1, 1]^D for what scores highest.

    Parameters
    ----------
    score : callable
        Candidates (P, D) -> scores (P,); the higher the better.
    mean, sigma : arrays (D,)
        m and σ at the start.
    search : Search
    rng : numpy.random.Generator

    Returns
    -------
    mean, sigma : arrays (D,)
        Of the last distribution.

    Raises
    ------
    ValueError
        If a score is NaN.
    """
    mean, variance, keep = mean.astype(np.float32), np.square(sigma, dtype=np.float32), np.float32(search.smoothing)
    for _ in range(search.rounds):
        room = np.minimum(mean + 1, 1 - mean) / np.float32(WIDTH)
        variance = np.minimum(variance, room * room)
        candidates = mean + np.sqrt(variance) * truncated_normal((search.candidates, len(mean)), rng)
        scores = score(candidates)
        if np.isnan(scores).any():
            raise ValueError("expected scores that can be compared, given NaN")
        elites = candidates[np.argsort(-scores, kind="stable")[: search.elites]]
        mean = keep * mean + (1 - keep) * elites.mean(axis=0)
        variance = keep * variance + (1 - keep) * elites.var(axis=0)
    return mean, np.sqrt(variance)


def truncated_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws of N(0, 1) within ±2: those outside are drawn again."""
    draws = rng.standard_normal(shape, np.float32)
    outside = np.abs(draws) > WIDTH
    while outside.any():
        draws[outside] = rng.standard_normal(int(outside.sum()), np.float32)
        outside = np.abs(draws) > WIDTH
    return draws
