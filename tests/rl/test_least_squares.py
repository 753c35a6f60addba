"""Solutions of K z = b: against NumPy's, where K lacks rank, and how far they can reach."""

import numpy as np
import pytest

from rl.solvers.least_squares import cosine, ridge, truncated


def kernel(rng, size=6, rank=6):
    rows = rng.normal(size=(size, rank))
    return rows @ rows.T


def test_a_kernel_of_full_rank_is_solved(rng):
    k, b = kernel(rng), rng.normal(size=6)
    expected = np.linalg.solve(k, b)
    for solved in (truncated(k, b, 1e-12), ridge(k, b, 1e-14)):
        np.testing.assert_allclose(solved.z, expected, rtol=1e-6)
        assert solved.reached == pytest.approx(1)
        assert solved.rank == 6


def test_the_ridge_is_in_units_of_the_mean_diagonal(rng):
    k, b = kernel(rng), rng.normal(size=6)
    expected = np.linalg.solve(k + 0.3 * np.trace(k) / 6 * np.eye(6), b)
    np.testing.assert_allclose(ridge(k, b, 0.3).z, expected, rtol=1e-10)
    np.testing.assert_allclose(1e4 * ridge(1e4 * k, b, 0.3).z, expected, rtol=1e-10)


def test_of_a_kernel_that_lacks_rank_the_shortest_solution_is_taken(rng):
    k, b = kernel(rng, rank=3), rng.normal(size=6)
    solved = truncated(k, b, 1e-9)
    np.testing.assert_allclose(solved.z, np.linalg.pinv(k, rcond=1e-9, hermitian=True) @ b, rtol=1e-8)
    assert solved.rank == 3
    assert solved.reached == pytest.approx(np.linalg.norm(k @ solved.z) / np.linalg.norm(b))  # ‖Pb‖/‖b‖
    assert 0 < solved.reached < 1


def test_nothing_can_be_reached_along_an_empty_kernel():
    for solved in (truncated(np.zeros((3, 3)), np.ones(3), 1e-9), ridge(np.zeros((3, 3)), np.ones(3), 1e-9)):
        assert solved.reached == solved.rank == 0
        assert not solved.z.any()


def test_cosine():
    assert cosine(np.array([3.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(np.sqrt(0.5))
    assert cosine(np.zeros(2), np.ones(2)) == 0


@pytest.mark.parametrize(("solve", "amount"), [(ridge, 0.0), (ridge, np.nan), (truncated, -1.0), (truncated, 1.0)])
def test_nonsense_is_refused(solve, amount):
    with pytest.raises(ValueError, match="expected a"):
        solve(np.eye(2), np.ones(2), amount)


def test_a_kernel_that_is_none_is_refused():
    with pytest.raises(ValueError, match="positive semi-definite"):
        ridge(np.diag([3.0, -1.0]), np.ones(2), 1e-6)


@pytest.mark.parametrize("solve", [ridge, truncated])
@pytest.mark.parametrize(
    ("kernel", "b"),
    [(np.eye(3), np.ones(2)), (np.zeros((0, 0)), np.ones(0)), (np.eye(2) * np.nan, np.ones(2)), (np.eye(2, dtype=int), np.ones(2))],
)
def test_other_arrays_are_refused(solve, kernel, b):
    with pytest.raises(ValueError, match="expected"):
        solve(kernel, b, 1e-6)
