"""Statistics of several runs and tasks, against values by hand and against all resamples."""

from itertools import product

import numpy as np
import pytest

from rl.training.statistics import (
    improvement_interval,
    iqm,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_interval,
)

X, Y = [1.0, 3.0, 5.0], [2.0, 3.0]  # X wins 3 of 6 pairs (3 > 2, 5 > 2, 5 > 3) and ties one: 3.5/6


def test_probability_of_improvement_by_hand():
    assert probability_of_improvement([X], [Y]) == pytest.approx(3.5 / 6)
    assert probability_of_improvement([Y], [X]) == pytest.approx(2.5 / 6)
    assert probability_of_improvement([X, [0.0]], [Y, [9.0, 9.0]]) == pytest.approx((3.5 / 6 + 0) / 2)  # each task counts alike
    assert probability_of_improvement([X], [X]) == 0.5


def test_optimality_gap_by_hand():
    assert optimality_gap([0.25, 1.5, 1.0]) == pytest.approx(0.25)  # (0.75 + 0 + 0) / 3
    np.testing.assert_allclose(optimality_gap([[0.5, 2.0], [1.0, 3.0]], axis=1, target=2), [0.75, 0.5])


def test_performance_profile_by_hand():
    profile = performance_profile([[1.0, 2.0, 3.0, 4.0], [2.5]], [0.0, 2.0, 2.5, 9.0])
    np.testing.assert_allclose(profile, [1, (2 / 4 + 1) / 2, (2 / 4 + 0) / 2, 0])  # strictly above


def resamples(n: int):
    return (list(drawn) for drawn in product(range(n), repeat=n))


@pytest.mark.parametrize("statistic", [iqm, optimality_gap, np.mean])
def test_stratified_interval_against_all_resamples(statistic):
    """Tasks of three and two runs have 3³·2² = 108 resamples, equally probable."""
    tasks = np.array([0.1, 0.5, 0.9]), np.array([2.0, 0.0])
    all_values = [statistic(np.concatenate([tasks[0][i], tasks[1][j]]), axis=None) for i, j in product(resamples(3), resamples(2))]
    for confidence in (0.5, 0.9):
        expected = np.quantile(all_values, [(1 - confidence) / 2, (1 + confidence) / 2])
        np.testing.assert_allclose(stratified_interval(tasks, statistic, confidence, 40_000), expected, atol=0.06)


def test_tasks_are_drawn_within_themselves():
    """Two tasks whose runs agree: nothing is left to chance. Drawn from all four together, the mean would vary."""
    low, high = stratified_interval([[0.0, 0.0], [1.0, 1.0]], np.mean)
    assert low == high == 0.5


def test_improvement_interval_against_all_resamples():
    x, y = np.array(X), np.array(Y)
    values = [probability_of_improvement([x[i]], [y[j]]) for i, j in product(resamples(3), resamples(2))]
    for confidence in (0.5, 0.9):
        expected = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
        np.testing.assert_allclose(improvement_interval([x], [y], confidence, 40_000), expected, atol=0.06)
    low, high = improvement_interval([[5.0, 6.0], [5.0, 6.0]], [[1.0, 2.0], [7.0, 8.0]])
    assert low == high == 0.5  # certain on both tasks


def test_intervals_repeat():
    tasks = [[1.0, 2.0, 5.0], [0.0, 3.0]]
    assert stratified_interval(tasks, seed=3) == stratified_interval(tasks, seed=3)
    assert improvement_interval(tasks, tasks[::-1], seed=3) == improvement_interval(tasks, tasks[::-1], seed=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stratified_interval([]), "at least one score each, given shapes"),
        (lambda: stratified_interval([1.0, 2.0]), r"given shapes \[\(\), \(\)\]"),
        (lambda: stratified_interval([[1.0], []]), r"given shapes \[\(1,\), \(0,\)\]"),
        (lambda: stratified_interval([[np.nan]]), "expected finite scores in tasks"),
        (lambda: stratified_interval([[1.0]], confidence=1.0), r"confidence in \(0, 1\), given 1"),
        (lambda: probability_of_improvement([[1.0]], [[1.0], [2.0]]), "given 1 and 2"),
        (lambda: improvement_interval([[1.0]], [[]]), "expected y as"),
    ],
)
def test_what_cannot_be_judged_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("statistic", [iqm, optimality_gap])
@pytest.mark.parametrize(("scores", "axis"), [([], None), (np.empty((3, 0)), 1), (np.empty((0, 3)), 0)])
def test_no_scores_have_no_statistic(statistic, scores, axis):
    with pytest.raises(ValueError, match="expected at least one score, given shape"):
        statistic(scores, axis=axis)
