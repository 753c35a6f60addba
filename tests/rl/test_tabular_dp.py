"""Decision processes and dynamic programming: known values, what is refused, and that all ways lead to the same policy."""

import gymnasium
import numpy as np
import pytest

from rl.algorithms.tabular import operators as bellman
from rl.algorithms.tabular.dynamic_programming import (
    evaluate,
    evaluate_by_iteration_q,
    evaluate_by_iteration_v,
    policy_iteration_q,
    policy_iteration_v,
    soft_policy_iteration,
    value_iteration_q,
    value_iteration_v,
)
from rl.algorithms.tabular.mdp import MDP
from rl.algorithms.tabular.occupancy import expected_return, state_distribution
from tests.rl.garnet import garnet, policy

KNOWN = [
    ("FrozenLake-v1", {}, 0.5420259),
    ("FrozenLake-v1", {"map_name": "8x8"}, 0.4146404),
    ("CliffWalking-v1", {}, -12.2478977),
]
SOLVERS = [policy_iteration_v, policy_iteration_q, value_iteration_v, value_iteration_q]


@pytest.mark.parametrize(("name", "settings", "value"), KNOWN, ids=["4x4", "8x8", "cliff"])
@pytest.mark.parametrize("solve", SOLVERS, ids=lambda f: f.__name__)
def test_known_values(name, settings, value, solve):
    with gymnasium.make(name, **settings) as env:
        mdp = MDP.of(env, 0.99)
    solution = solve(mdp)
    assert mdp.start @ solution.values == pytest.approx(value, abs=1e-6)
    assert expected_return(mdp, solution.policy) == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(bellman.best_values(solution.action_values), solution.values, atol=1e-8)


def test_rounds_are_those_of_the_specification():
    lake = MDP.of("FrozenLake-v1", 0.99)
    assert policy_iteration_v(lake).rounds == policy_iteration_q(lake).rounds == 7
    assert value_iteration_v(lake, 1e-10).rounds == value_iteration_q(lake, 1e-10).rounds == 704


def test_the_table_of_an_environment_by_hand():
    """s0: action 0 stays and pays 1; action 1 pays 3 on the average, and ends half of the time."""
    table = {0: {0: [(1.0, 0, 1.0, False)], 1: [(0.5, 1, 2.0, False), (0.5, 1, 4.0, True)]}}
    table[1] = {a: [(1.0, 1, 0.0, True)] for a in (0, 1)}
    env = gymnasium.make("FrozenLake-v1")
    env.unwrapped.P, env.unwrapped.initial_state_distrib = table, np.array([1.0, 0.0])
    mdp = MDP.of(env, 0.5)
    np.testing.assert_array_equal(mdp.P, [[[1, 0], [0, 0.5]], [[0, 0], [0, 0]]])
    np.testing.assert_array_equal(mdp.R, [[1, 3], [0, 0]])
    np.testing.assert_array_equal(mdp.start, [1, 0])
    assert value_iteration_v(mdp).values.tolist() == [3.0, 0.0]
    assert evaluate(mdp, [[1, 0], [1, 0]]).tolist() == [2.0, 0.0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ends", [0.0, 0.2])
def test_all_ways_lead_to_the_same_policy(seed, ends):
    mdp = garnet(seed, ends=ends)
    solutions = [solve(mdp) for solve in SOLVERS]
    for solution in solutions[1:]:
        np.testing.assert_allclose(solution.values, solutions[0].values, atol=1e-8)
        np.testing.assert_array_equal(solution.policy, solutions[0].policy)


@pytest.mark.parametrize("seed", range(3))
def test_solved_and_iterated_values_are_the_same(seed):
    mdp = garnet(seed, ends=0.1)
    pi = policy(seed, mdp)
    v = evaluate(mdp, pi)
    np.testing.assert_allclose(bellman.policy_operator_v(mdp, pi, v), v, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(evaluate_by_iteration_v(mdp, pi), v, atol=1e-9)
    np.testing.assert_allclose(evaluate_by_iteration_q(mdp, pi), bellman.action_values(mdp, v), atol=1e-9)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5])
def test_the_error_is_below_the_tolerance(tolerance):
    mdp = garnet(0, gamma=0.99)
    error = np.abs(value_iteration_v(mdp, tolerance).values - policy_iteration_v(mdp).values).max()
    assert tolerance / 50 < error < tolerance


def test_equal_actions_do_not_take_turns():
    mdp = MDP(np.full((2, 3, 2), 0.5), np.full((2, 3), 0.1), 0.9)
    assert policy_iteration_v(mdp).rounds == 1
    np.testing.assert_array_equal(value_iteration_v(mdp).policy, [[1, 0, 0]] * 2)


def test_without_a_future_the_best_reward_is_taken():
    mdp = garnet(3, gamma=0.0)
    for solve in SOLVERS:
        np.testing.assert_array_equal(solve(mdp).policy.argmax(axis=1), mdp.R.argmax(axis=1))


def test_soft_policies_approach_the_best_one():
    mdp = garnet(2)
    best, distances = policy_iteration_v(mdp).values, []
    for alpha in (1.0, 0.1, 0.01, 1e-3):
        distances.append(np.abs(soft_policy_iteration(mdp, alpha).values - best).max())
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-2
    np.testing.assert_array_equal(soft_policy_iteration(mdp, 1e-3).policy.round(), policy_iteration_v(mdp).policy)


def test_where_time_is_spent():
    """One state, an end with probability ½ after each step: (1 − γ)(1 + γ/2 + …) of the time there."""
    mdp = MDP([[[0.5]]], [[1.0]], 0.8)
    np.testing.assert_allclose(state_distribution(mdp, [[1.0]]), [0.2 / 0.6])
    assert expected_return(mdp, [[1.0]]) == pytest.approx(1 / 0.6)


HALF = np.full((2, 3, 2), 0.5)
REWARDS = np.zeros((2, 3))
DISTRIBUTIONS = {
    "negative": (np.stack([[[1.5, -0.5]] * 3] * 2), REWARDS, 0.9, None),
    "sum above 1": (HALF + 0.1, REWARDS, 0.9, None),
    "start": (HALF, REWARDS, 0.9, [0.5, 0.4]),
}
NUMBERS = {
    "NaN": (HALF * np.nan, REWARDS, 0.9, None),
    "infinite rewards": (HALF, REWARDS + np.inf, 0.9, None),
    "text": ("P", REWARDS, 0.9, None),
    "ragged": ([[1, 2], [3]], REWARDS, 0.9, None),
    "none": (HALF, None, 0.9, None),
}
SHAPES = {
    "two axes": (HALF[0], REWARDS, 0.9, None),
    "rewards by state": (HALF, REWARDS[:, 0], 0.9, None),
    "more next states": (np.full((2, 3, 4), 0.25), REWARDS, 0.9, None),
    "empty": (np.zeros((0, 3, 0)), np.zeros((0, 3)), 0.9, None),
    "start of another size": (HALF, REWARDS, 0.9, [1.0]),
}
GAMMAS = {f"gamma {g}": (HALF, REWARDS, g, None) for g in (1.0, -0.1, 2)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *((DISTRIBUTIONS[name], "as probabilities that sum to") for name in DISTRIBUTIONS),
        *((NUMBERS[name], "expected .* numbers, given") for name in NUMBERS),
        *((SHAPES[name], r"expected (P \(S, A, S\) and R|start \(2,\))") for name in SHAPES),
        *((GAMMAS[name], r"expected gamma in \[0, 1\), given") for name in GAMMAS),
    ],
    ids=[*DISTRIBUTIONS, *NUMBERS, *SHAPES, *GAMMAS],
)
def test_what_is_no_process_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MDP(*arguments)


@pytest.mark.parametrize("env", ["CartPole-v1", None, 3], ids=str)
def test_environments_without_a_table_are_refused(env):
    with pytest.raises(TypeError, match=r"expected an environment with a table P\[s\]\[a\] of transitions, given"):
        MDP.of(env)


@pytest.mark.parametrize("pi", [np.ones(8), np.ones((8, 2)) / 2, np.ones((8, 3)), np.full((8, 3), np.nan), "best"], ids=range(5))
def test_what_is_no_policy_is_refused(pi):
    for call in (evaluate, policy_iteration_v, policy_iteration_q, state_distribution, expected_return):
        with pytest.raises(ValueError, match=r"expected (a )?policy"):
            call(garnet(0), pi)


@pytest.mark.parametrize("number", [0, -1.0, np.nan, np.inf])
def test_tolerances_and_temperatures_are_positive(number):
    with pytest.raises(ValueError, match="expected a tolerance > 0"):
        value_iteration_v(garnet(0), number)
    with pytest.raises(ValueError, match="expected a temperature alpha > 0"):
        soft_policy_iteration(garnet(0), number)


def test_a_process_keeps_its_own_arrays():
    transitions = HALF.copy()
    mdp = MDP(transitions, REWARDS, 0.9)
    transitions[:] = 0
    assert mdp.P.sum() == 6
    assert (mdp.states, mdp.actions) == (2, 3)
    np.testing.assert_array_equal(mdp.start, [0.5, 0.5])
