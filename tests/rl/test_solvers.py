"""Conjugate gradients against a direct solution, backtracking, and a multiplier."""

import math

import numpy as np
import pytest

from deepnp import NonFiniteError
from rl.solvers.conjugate_gradient import conjugate_gradient
from rl.solvers.line_search import backtracking
from rl.solvers.multiplier import Multiplier


def positive_definite(rng, eigenvalues) -> np.ndarray:
    """A symmetric matrix with these eigenvalues."""
    basis = np.linalg.qr(rng.normal(size=(len(eigenvalues), len(eigenvalues))))[0]
    return basis * eigenvalues @ basis.T


class TestConjugateGradient:
    def test_finds_what_a_direct_solution_finds(self, rng):
        a, b = positive_definite(rng, rng.uniform(0.5, 5, 12)), rng.normal(size=12)
        x, residual, steps = conjugate_gradient(lambda p: a @ p, b, 30, 1e-24)
        np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e-9)
        np.testing.assert_allclose(residual, b - a @ x, atol=1e-10)
        assert x @ (b - residual) == pytest.approx(x @ a @ x)
        assert steps <= 14

    def test_takes_a_step_for_each_different_eigenvalue(self, rng):
        a = positive_definite(rng, np.repeat([1.0, 2.0, 5.0], 4))
        assert conjugate_gradient(lambda p: a @ p, rng.normal(size=12), 50, 1e-20).steps == 3

    def test_each_step_is_the_best_in_its_space(self, rng):
        """After k steps: the minimum of ½xᵀAx − bᵀx over the span of b, Ab, …, A^{k−1}b."""
        a, b = positive_definite(rng, rng.uniform(0.5, 5, 8)), rng.normal(size=8)
        for steps in range(1, 6):
            space = np.stack([np.linalg.matrix_power(a, k) @ b for k in range(steps)], axis=1)
            best = space @ np.linalg.solve(space.T @ a @ space, space.T @ b)
            np.testing.assert_allclose(conjugate_gradient(lambda p: a @ p, b, steps, 0).x, best, rtol=1e-6)

    def test_ends_where_it_is_good_enough(self, rng):
        """The tolerance is a share of ‖b‖², so b may have any length."""
        a, b = positive_definite(rng, np.linspace(1, 50, 40)), rng.normal(size=40)
        loose, close, other = (
            conjugate_gradient(lambda p: a @ p, scale * b, 100, tolerance)
            for scale, tolerance in ((1, 1e-3), (1, 1e-12), (1e6, 1e-3))
        )
        assert loose.steps < close.steps < 100
        assert loose.steps == other.steps
        earlier = conjugate_gradient(lambda p: a @ p, b, loose.steps - 1, 0).residual
        assert loose.residual @ loose.residual <= 1e-3 * (b @ b) < earlier @ earlier

    def test_zero_is_solved_without_a_product(self):
        assert conjugate_gradient(lambda p: pytest.fail("asked for a product"), np.zeros(3), 5).steps == 0

    @pytest.mark.parametrize("curvature", [0.0, -1.0])
    def test_ends_before_a_direction_that_does_not_curve_up(self, curvature):
        x, residual, _ = conjugate_gradient(lambda p: np.array([1.0, curvature]) * p, np.array([0.0, 2.0]), 5)
        np.testing.assert_array_equal(x, 0)
        np.testing.assert_array_equal(residual, [0, 2])

    def test_keeps_the_type(self, rng):
        assert conjugate_gradient(lambda p: 2 * p, np.ones(4, np.float32), 5).x.dtype == np.float32

    def test_refuses_what_it_cannot_solve(self):
        for b, steps, tolerance in (
            (np.ones((2, 2)), 5, 0.1),
            (np.ones(2), 0, 0.1),
            (np.ones(2), 5, -1),
            (np.ones(2), 5, math.nan),
        ):
            with pytest.raises(ValueError, match=r"expected b \(P,\), steps >= 1 and tolerance >= 0"):
                conjugate_gradient(lambda p: p, b, steps, tolerance)
        with pytest.raises(NonFiniteError, match="right side"):
            conjugate_gradient(lambda p: p, np.array([1, np.nan]), 5)
        with pytest.raises(NonFiniteError, match="curvature"):
            conjugate_gradient(lambda p: p * np.nan, np.ones(2), 5)


class TestBacktracking:
    def test_takes_the_first_that_is_accepted(self):
        tried = []
        share = backtracking(lambda share: tried.append(share) or share < 0.6, 0.8, 10)
        assert tried == [1, 0.8, 0.8**2, 0.8**3]
        assert share == 0.8**3

    def test_takes_none_where_none_is_accepted(self):
        tried = []
        assert backtracking(lambda share: bool(tried.append(share)), 0.5, 4) is None
        assert len(tried) == 4

    @pytest.mark.parametrize(("shrink", "tries"), [(0, 3), (1, 3), (1.5, 3), (math.nan, 3), (0.5, 0)])
    def test_refuses_what_does_not_shrink(self, shrink, tries):
        with pytest.raises(ValueError, match=r"expected shrink in \(0, 1\)"):
            backtracking(lambda share: True, shrink, tries)


class TestMultiplier:
    def test_rises_while_the_constraint_is_broken_and_never_falls_below_0(self):
        multiplier = Multiplier(1)
        multiplier.ascend(0.02, 10)
        assert multiplier.value == pytest.approx(1.2)
        multiplier.ascend(-0.5, 10)
        assert multiplier.value == 0

    def test_is_saved(self):
        multiplier = Multiplier(0)
        multiplier.load_state_dict(Multiplier(3.5).state_dict())
        assert multiplier.value == 3.5

    @pytest.mark.parametrize("value", [-1, np.nan, np.inf])
    def test_no_file_makes_it_negative(self, value):
        with pytest.raises(ValueError, match=r"expected a multiplier in \[0, ∞\)"):
            Multiplier(1).load_state_dict({"value": np.array(value)})
