"""Cross-entropy search: where it ends, what it draws, what it refuses."""

import numpy as np
import pytest

from rl.solvers.cross_entropy import Search, cross_entropy_search, truncated_normal

START = np.zeros(4), np.full(4, 0.5)


def test_a_quadratic_is_solved(rng):
    best = np.array([0.7, -0.4, 0.1, -0.9])
    mean, sigma = cross_entropy_search(lambda x: -np.square(x - best).sum(axis=1), *START, Search(200, 20, 20, 0.1), rng)
    np.testing.assert_allclose(mean, best, atol=1e-2)
    assert sigma.max() < 1e-2


def test_the_best_at_a_corner_is_reached_and_nothing_leaves_the_box(rng):
    seen = []

    def score(x):
        seen.append(np.abs(x).max())
        return x.sum(axis=1)

    mean, _ = cross_entropy_search(score, *START, Search(300, 30, 30, 0.1), rng)
    assert mean.min() > 0.9
    assert max(seen) <= 1


def test_one_round_by_hand(rng):
    drawn = []
    mean, sigma = cross_entropy_search(lambda x: drawn.append(x) or -x[:, 0], *START, Search(50, 5, 1, 0.25), rng)
    elites = drawn[0][np.argsort(drawn[0][:, 0])[:5]]
    np.testing.assert_allclose(mean, 0.75 * elites.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(sigma**2, 0.25 * 0.25 + 0.75 * elites.var(axis=0), rtol=1e-5)


def test_the_gaussian_is_cut_off_at_two_deviations(rng):
    draws = truncated_normal((100_000,), rng)
    assert np.abs(draws).max() <= 2
    assert draws.var() == pytest.approx(0.774, abs=0.01)  # 1 − 2·2φ(2)/(2Φ(2) − 1)


def test_scores_that_are_no_numbers_are_refused(rng):
    with pytest.raises(ValueError, match="expected scores that can be compared, given NaN"):
        cross_entropy_search(lambda x: np.full(len(x), np.nan), *START, Search(10, 2, 2, 0.1), rng)
