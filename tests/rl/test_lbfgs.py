"""The minimiser: known minima, domains, and what it refuses."""

import numpy as np
import pytest

from deepnp import NonFiniteError
from rl.solvers.lbfgs import CURVATURE, DECREASE, _search, minimize


def rosenbrock(x):
    inner = 200 * (x[1:] - x[:-1] ** 2)
    value = float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())
    return value, np.append(-2 * inner * x[:-1] - 2 * (1 - x[:-1]), 0) + np.append(0, inner)


def quadratic(rng, size: int, condition: float):
    q = np.linalg.qr(rng.normal(size=(size, size)))[0]
    a, center = q @ np.diag(np.geomspace(1, condition, size)) @ q.T, rng.normal(size=size)
    return (lambda x: (0.5 * float((x - center) @ a @ (x - center)), a @ (x - center))), center


def test_finds_the_bottom_of_a_curved_valley():
    found = minimize(rosenbrock, np.zeros(10), steps=200)
    np.testing.assert_allclose(found.x, 1, atol=1e-7)
    assert found.steps < 120
    assert found.value < 1e-12


@pytest.mark.parametrize("pairs", [1, 5, 10])
def test_finds_the_minimum_of_a_quadratic(rng, pairs):
    function, center = quadratic(rng, 8, 100)
    np.testing.assert_allclose(minimize(function, np.zeros(8), 500, pairs=pairs).x, center, atol=1e-7)


def test_more_pairs_take_fewer_steps(rng):
    function, _ = quadratic(rng, 8, 1e4)
    steps = [minimize(function, np.zeros(8), 2000, 1e-6, pairs).steps for pairs in (1, 10)]
    assert steps[1] < 0.7 * steps[0]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_a_step_is_neither_too_long_nor_too_short(scale):
    x = np.full(4, 0.3)
    value, gradient = rosenbrock(x)
    direction = -scale * gradient
    slope = gradient @ direction
    step, after, gradient_after = _search(rosenbrock, x, value, gradient, direction)
    assert after <= value + DECREASE * (step @ gradient)
    assert gradient_after @ direction >= CURVATURE * slope
    assert rosenbrock(x + step)[0] == after


def test_stays_in_the_domain():
    """f(x) = x − ln x, for x > 0 alone."""
    seen = []

    def function(x):
        seen.append(x[0])
        return (float(x[0] - np.log(x[0])), 1 - 1 / x) if x[0] > 0 else (np.inf, np.zeros(1))

    assert minimize(function, np.array([8.0])).x[0] == pytest.approx(1, abs=1e-7)
    assert minimize(function, np.array([1e-3])).x[0] == pytest.approx(1, abs=1e-7)


def test_ends_where_it_may_and_leaves_the_start_alone():
    start = np.full(3, 0.5)
    found = minimize(rosenbrock, start, steps=1)
    assert found.steps == 1
    assert found.value < rosenbrock(start)[0]
    np.testing.assert_array_equal(start, 0.5)
    assert minimize(rosenbrock, np.ones(3)).steps == 0


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match=r"expected start \(P,\), steps >= 1.*given \(2, 2\), 200"):
        minimize(rosenbrock, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="steps >= 1"):
        minimize(rosenbrock, np.zeros(2), steps=0)
    with pytest.raises(NonFiniteError, match="value to be minimised"):
        minimize(lambda x: (np.nan, x), np.zeros(2))
