"""Decision processes and dynamic programming: known values, what is refused, and that all ways lead to the same policy."""

import gymnasium
import numpy as np
import pytest

from rl.algorithms.tabular import dynamic_programming
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


def dense(seed, gamma):
    """Six states, three actions, each of which may lead to every state."""
    rng = np.random.default_rng(seed)
    return MDP(rng.dirichlet(np.full(6, 0.3), (6, 3)), rng.normal(size=(6, 3)), gamma)


def fail_after(monkeypatch, name, calls):
    """A function of dynamic_programming that may be called so often: an iteration without end fails instead."""
    function, left = getattr(dynamic_programming, name), iter(range(calls))

    def counted(*arguments):
        assert next(left, None) is not None, f"{name} was called more than {calls} times"
        return function(*arguments)

    monkeypatch.setattr(dynamic_programming, name, counted)


@pytest.mark.parametrize("gamma", [0.9999, 0.99999, 0.999999, 1 - 1e-8, 1 - 1e-10])
@pytest.mark.parametrize("seed", range(5))
def test_soft_policy_iteration_ends_where_rounding_moves_the_values(seed, gamma, monkeypatch):
    """The error of V, ε|V|/(1 − γ), is above the tolerance, and V goes up and down by it."""
    fail_after(monkeypatch, "evaluate", 20)
    solution, near = soft_policy_iteration(dense(seed, gamma), 1.0), soft_policy_iteration(dense(seed, 0.999), 1.0)
    values = bellman.best_soft_values(solution.action_values, 1.0)
    np.testing.assert_allclose(values, solution.values, rtol=1e-13)
    np.testing.assert_allclose(solution.policy, near.policy, atol=1e-2)


LOOSE = [(47, 0.9, 1.0), (47, 0.9, 10.0), (172, 0.5, 0.1), (18, 0.5, 1.0), (53, 0.5, 10.0), *((s, 0.9, 1e-3) for s in range(5))]


@pytest.mark.parametrize(("seed", "gamma", "tolerance"), LOOSE)
def test_policy_iteration_on_q_ends_at_any_tolerance(seed, gamma, tolerance, monkeypatch):
    """Actions do not take turns for differences that are errors of Q, and the values are as near as is said."""
    fail_after(monkeypatch, "evaluate_by_iteration_q", 20)
    mdp = dense(seed, gamma)
    found = policy_iteration_q(mdp, tolerance=tolerance)
    missing = policy_iteration_v(mdp).values - evaluate(mdp, found.policy)
    assert missing.min() > -1e-9
    assert missing.max() <= 4 * tolerance / (1 - gamma)
    np.testing.assert_allclose(found.values, evaluate(mdp, found.policy), atol=tolerance)


def test_an_action_is_changed_where_it_is_better_by_more_than_twice_the_tolerance():
    """One state, no future: Q is the reward, whatever the tolerance."""
    for better, action in ((0.19, 0), (0.21, 1)):
        mdp = MDP(np.ones((1, 2, 1)), [[0.0, better]], 0.0)
        assert policy_iteration_q(mdp, tolerance=0.1).policy.argmax() == action


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


STAY = [(1.0, 0, 0.0, False)]
BOTH = {0: STAY, 1: STAY}
TABLES = {
    "fewer actions": ({0: BOTH, 1: {0: STAY}}, r"a table P\[1\] for actions 0 to 1, given keys \[0\]"),
    "more actions": ({0: BOTH, 1: {**BOTH, 2: STAY}}, r"a table P\[1\] for actions 0 to 1, given keys \[0, 1, 2\]"),
    "actions from 1": ({0: {1: STAY, 2: STAY}}, r"a table P\[0\] for actions 0 to 1, given keys \[1, 2\]"),
    "no actions": ({0: {}, 1: {}}, r"a table P\[0\] for actions 0 to 0, given keys \[\]"),
    "a list of actions": ({0: BOTH, 1: [STAY, STAY]}, r"a table P\[1\] for actions 0 to 1, given \[\["),
    "lists of actions": ({0: [STAY], 1: [STAY]}, r"a table P\[0\] for actions 0 to 0, given \[\["),
    "states from 1": ({1: BOTH, 2: BOTH}, r"a table P for states 0 to 1, given keys \[1, 2\]"),
    "next state -1": ({0: BOTH, 1: {0: STAY, 1: [(1.0, -1, 0.0, False)]}}, r"next states from 0 to 1 in P\[1\]\[1\], given -1"),
    "next state 2": ({0: BOTH, 1: {0: [(1.0, 2, 0.0, True)], 1: STAY}}, r"next states from 0 to 1 in P\[1\]\[0\], given 2"),
    "next state 1.0": ({0: {0: [(1.0, 1.0, 0.0, False)]}, 1: {0: STAY}}, r"next states from 0 to 1 in P\[0\]\[0\], given 1.0"),
    "half": ({0: {0: [(0.5, 0, 0.0, True)]}}, r"P\[0\]\[0\] as probabilities that sum to 1, given .* \[0.5, 0.5\]"),
    "twice": ({0: {0: STAY * 2}}, r"P\[0\]\[0\] as probabilities that sum to 1, given .* \[2, 2\]"),
    "twice, at an end": ({0: {0: [(1.0, 0, 1.0, True)] * 2}}, r"P\[0\]\[0\] as probabilities that sum to 1"),
    "negative": ({0: {0: [(1.5, 0, 0.0, True), (-0.5, 0, 1.0, True)]}}, r"P\[0\]\[0\] as probabilities .* -0.5"),
    "no outcome": ({0: {0: []}}, r"P\[0\]\[0\] as probabilities that sum to 1, given .* \[0, 0\]"),
    "pairs": ({0: {0: [(1.0, 0)]}}, r"P\[0\]\[0\] as a list of \(probability, s', reward, terminated\), given \[\(1.0, 0\)"),
    "none": ({0: {0: None}}, r"P\[0\]\[0\] as a list of \(probability, s', reward, terminated\), given None"),
}


@pytest.mark.parametrize(("table", "message"), TABLES.values(), ids=TABLES)
def test_broken_tables_are_refused(table, message):
    env = gymnasium.make("FrozenLake-v1")
    env.unwrapped.P, env.unwrapped.initial_state_distrib = table, None
    with pytest.raises(ValueError, match="expected " + message):
        MDP.of(env)


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"])
def test_tables_of_gymnasium_are_taken(name):
    with gymnasium.make(name) as env:
        mdp, table = MDP.of(env), env.unwrapped.P
    rows = [(p, s, a, end) for s, choices in table.items() for a, outcomes in choices.items() for p, _, _, end in outcomes]
    assert mdp.R.shape == (env.observation_space.n, env.action_space.n)
    assert mdp.P.sum() == pytest.approx(sum(p for p, _, _, end in rows if not end))


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
