"""The batch forms: averages over rows are the Bellman operators of the process that the rows estimate."""

import numpy as np
import pytest

from rl.algorithms.tabular import operators as bellman
from rl.algorithms.tabular.batch import estimated
from rl.algorithms.tabular.dynamic_programming import value_iteration_q
from rl.experience.visits import Transitions
from tests.rl.garnet import garnet, policy

S, A, GAMMA = 6, 2, 0.9


def drawn(mdp, rows, seed=0):
    """Transitions of a process from pairs at random, a tenth of them not valid."""
    rng = np.random.default_rng(seed)
    s, a = rng.integers(mdp.states, size=rows), rng.integers(mdp.actions, size=rows)
    edges = mdp.P[s, a].cumsum(axis=1)
    s_next = (rng.random((rows, 1)) >= edges).sum(axis=1)
    terminated = s_next == mdp.states
    rewards = mdp.R[s, a] + rng.normal(size=rows)
    valid = rng.random(rows) < 0.9
    return Transitions(s, a, rewards, np.where(terminated, 0, s_next), terminated, np.zeros(rows, bool), valid)


@pytest.fixture
def mdp():
    return garnet(0, states=S, actions=A, gamma=GAMMA, ends=0.1)


def test_means_over_rows_are_bellman_operators(mdp):
    rows = drawn(mdp, 300)
    q, pi, found = np.random.default_rng(1).normal(size=(S, A)), policy(2, mdp), estimated(rows, S, A, GAMMA)
    best, expected = q.max(axis=1), (pi * q).sum(axis=1)
    for s, a in np.ndindex(S, A):
        of_pair = (rows.states == s) & (rows.actions == a) & rows.valid
        for v, operator in ((best, bellman.optimality_operator_q(found, q)), (expected, bellman.policy_operator_q(found, pi, q))):
            targets = rows.rewards + GAMMA * np.where(rows.terminated, 0, v[rows.next_states])
            assert operator[s, a] == pytest.approx(targets[of_pair].mean(), rel=1e-12)


def test_with_more_rows_the_values_are_those_of_the_process(mdp):
    exact, errors = value_iteration_q(mdp).action_values, []
    for rows in (1_000, 100_000):
        errors.append(np.abs(value_iteration_q(estimated(drawn(mdp, rows), S, A, GAMMA)).action_values - exact).max())
    assert errors[1] < 0.3
    assert errors[1] < 0.3 * errors[0]  # a hundred times as many rows: about a tenth


def test_a_pair_that_no_row_has_is_worth_nothing(mdp):
    rows = drawn(mdp, 200)
    found = estimated(rows._replace(valid=rows.valid & (rows.states != 3)), S, A, GAMMA)
    assert (value_iteration_q(found).action_values[3] == 0).all()
    assert found.start[3] == 0


def test_what_does_not_fit_is_refused(mdp):
    rows = drawn(mdp, 50)
    with pytest.raises(ValueError, match=r"expected states in \[0, 2\]"):
        estimated(rows, 3, A, GAMMA)
    with pytest.raises(ValueError, match=r"expected actions in \[0, 0\]"):
        estimated(rows, S, 1, GAMMA)
    with pytest.raises(ValueError, match="expected transitions, given none"):
        estimated(rows._replace(valid=np.zeros(50, bool)), S, A, GAMMA)
