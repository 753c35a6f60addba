"""REPS: its dual, its weights, and whole updates against a float64 reference."""

import numpy as np
import pytest

import rl
from deepnp import NonFiniteError
from deepnp.gradcheck import numerical_gradient
from rl.solvers.relative_entropy import dual, solve
from tests.rl.references import adapter
from tests.rl.references.black_box import REPS, LikelihoodSettings
from tests.rl.references.worlds import Choices, Worlds
from tests.rl.test_updates import assert_equal, trajectories

CASES = {
    "as it is": {},
    "tight": dict(epsilon=0.01, penalty=0.1),
    "σ a network": dict(sigma="network", max_grad_norm=0.05),
    "choices": dict(epsilon=0.5),
}


@pytest.mark.parametrize("case", CASES)
def test_update_equals_the_reference(rng, case):
    settings = dict(hidden=(8, 6), steps=12, updates=3, **CASES[case])
    agent = adapter.learner("REPS", Choices() if case == "choices" else Worlds(4), **settings)
    known = LikelihoodSettings.__dataclass_fields__
    fields = {name: getattr(agent.config, name) for name in known if hasattr(agent.config, name)}
    reference = REPS(LikelihoodSettings(**fields, discrete=case == "choices"), adapter.parameters(agent.policy))
    for _ in range(5):
        given, expected = adapter.update_from_rollout(agent, reference, trajectories(rng, case == "choices"), 0.5)
        assert given["eta"] == pytest.approx(expected["eta"], rel=1e-5)
        assert_equal(agent, reference, 1e-6)  # as far as the two solvers go


class TestDual:
    @pytest.fixture
    def steps(self, rng):
        change = rng.normal(size=(50, 4))
        return rng.normal(2, 3, 50), change - change.mean(axis=0)

    def test_gradient_is_the_central_difference(self, rng, steps):
        for penalty in (0.0, 0.3):
            x = np.array([0.7, *rng.normal(size=4)])
            numerical = numerical_gradient(lambda x, penalty=penalty: dual(x, *steps, 0.2, penalty)[0], x)
            np.testing.assert_allclose(dual(x, *steps, 0.2, penalty)[1], numerical, rtol=1e-6, atol=1e-8)

    @pytest.mark.parametrize("epsilon", [0.01, 0.2, 1.0])
    def test_weights_hold_both_constraints(self, steps, epsilon):
        found = solve(*steps, epsilon, 0.0)
        assert found.weights.mean() == pytest.approx(1)
        assert found.divergence == pytest.approx(epsilon, rel=1e-5)
        np.testing.assert_allclose(found.weights @ steps[1] / 50, 0, atol=1e-6)

    def test_no_weights_within_the_constraints_earn_more(self, rng, steps):
        """Moves of p that keep Σp and Σp(φ′ − φ), shortened until KL ≤ ε, never raise the mean reward."""
        rewards, change = steps
        p = solve(rewards, change, 0.2, 0.0).weights / 50
        kept = np.linalg.qr(np.column_stack([np.ones(50), change]))[0]
        for _ in range(50):
            move = rng.normal(size=50)
            move -= kept @ (kept.T @ move)
            move *= np.sign(move @ rewards) * 1e-3 * p.min() / np.abs(move).max()
            other = p + move
            divergence = (other * np.log(other * 50)).sum()
            assert divergence > 0.2  # what earns more is further away than allowed

    def test_the_rewards_unit_does_not_matter(self, steps):
        found, million = solve(*steps, 0.2, 1e-3), solve(1e6 * steps[0] - 5e8, steps[1], 0.2, 1e-3)
        np.testing.assert_allclose(million.weights, found.weights, rtol=1e-4)
        assert million.eta == pytest.approx(1e6 * found.eta, rel=1e-5)

    def test_equal_rewards_weigh_alike(self):
        np.testing.assert_allclose(solve(np.full(7, 3.0), np.zeros((7, 2)), 0.2, 0.0).weights, 1)

    def test_constraints_that_no_weights_hold_leave_nu_finite(self, rng):
        for penalty in (1e-4, 0.0):
            found = solve(rng.normal(size=30), 1 + rng.random((30, 2)), 0.2, penalty)
            assert np.isfinite(found.nu).all()
            assert np.isfinite(found.weights).all()

    def test_far_apart_rewards_do_not_overflow(self):
        found = solve(np.array([0.0, 3e38, -3e38, 5.0]), np.zeros((4, 1)), 0.1, 0.0)
        assert np.isfinite(found.weights).all()

    def test_a_bound_that_one_step_satisfies_gives_it_all(self):
        np.testing.assert_allclose(solve(np.array([1.0, 2, 3]), np.zeros((3, 1)), 10.0, 0.0).weights, [0, 0, 3], atol=1e-12)

    def test_what_does_not_fit_is_refused(self, steps):
        with pytest.raises(ValueError, match=r"expected rewards \(B,\) of one step at least, given \(0,\)"):
            solve(np.zeros(0), np.zeros((0, 2)), 0.2, 0.0)
        with pytest.raises(ValueError, match="change"):
            solve(steps[0], steps[1][:-1], 0.2, 0.0)
        with pytest.raises(NonFiniteError, match="sum of rewards and features"):
            solve(np.array([1.0, np.nan]), np.zeros((2, 1)), 0.2, 0.0)


def test_it_refuses_what_it_cannot_learn_from():
    with pytest.raises(ValueError, match="memory=None, as features are of single observations"):
        rl.REPSConfig(memory="lstm")
    with pytest.raises(TypeError, match="gamma"):
        rl.REPSConfig(gamma=0.9)
