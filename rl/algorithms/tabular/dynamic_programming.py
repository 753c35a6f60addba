"""Dynamic programming: policies from a known decision process (Algorithms 1 to 4 of the notes, and the soft ones).

    policy iteration        repeat  V ← V^π;  π ← greedy(R + γPV)          until π stays what it is
    value iteration         repeat  V ← max_a (R + γPV)                    until V hardly moves;  π ← greedy
    soft policy iteration   repeat  V ← V^π with entropy;  π ∝ exp(Q/α)    until V hardly moves

Policy iteration is done after finitely many rounds: V rises from round to round, so that no policy comes twice,
and there are A^S of them. Soft policies are a continuum: soft policy iteration gets there in the limit only,
though its error is squared in each round at the end (the notes say "after a finite number of iterations").

V that is rounded rises no more at the end, but goes up and down by up to about ε|V|/(1 − γ), the error of a solution
of linear equations (ε ≈ 2e-16). Soft policy iteration is done where no state has a new highest value.

An iteration of a γ-contraction stops where a step is below τ(1 − γ)/γ: then what is left, at most
γ/(1 − γ) times the last step, is below τ.

Shapes: S states, A actions; V (S,), Q and π (S, A).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rl.algorithms.tabular import operators as bellman
from rl.algorithms.tabular.mdp import MDP, check_policy

ROUNDING = 1e-10  # of a value: actions that are as good, but for that, are equally good


class Solution(NamedTuple):
    """What an iteration found.

    Attributes
    ----------
    policy : array (S, A)
    values : array (S,)
    action_values : array (S, A)
    rounds : int
        Sweeps of value iteration, improvements of policy iteration.
    """

    policy: np.ndarray
    values: np.ndarray
    action_values: np.ndarray
    rounds: int


def evaluate(mdp: MDP, policy: np.ndarray, alpha: float = 0.0) -> np.ndarray:
    """V^π (S,), the solution of V = E_π[R + γPV] + αH(π); α = 0 leaves out the entropy."""
    pi = check_policy(mdp, policy)
    p, r = np.einsum("sa,sat->st", pi, mdp.P), bellman.soft_values(pi, mdp.R, _temperature(alpha, 0.0))
    return np.linalg.solve(np.eye(mdp.states) - mdp.gamma * p, r)


def evaluate_by_iteration_v(mdp: MDP, policy: np.ndarray, tolerance: float = 1e-10) -> np.ndarray:
    """V^π (S,) by sweeps of B^π on V, to `tolerance`."""
    pi = check_policy(mdp, policy)
    return _fixed_point(lambda v: bellman.policy_operator_v(mdp, pi, v), np.zeros(mdp.states), mdp.gamma, tolerance)[0]


def evaluate_by_iteration_q(mdp: MDP, policy: np.ndarray, tolerance: float = 1e-10) -> np.ndarray:
    """Q^π (S, A) by sweeps of B^π on Q, to `tolerance`."""
    pi = check_policy(mdp, policy)
    return _fixed_point(lambda q: bellman.policy_operator_q(mdp, pi, q), np.zeros_like(mdp.R), mdp.gamma, tolerance)[0]


def policy_iteration_v(mdp: MDP, policy: np.ndarray | None = None) -> Solution:
    """Policy iteration on V, from a policy (S, A) or the one that always takes the first action: Algorithm 1.

    Each V^π is the solution of its linear equations.
    """

    def action_values_of(pi):
        return bellman.action_values(mdp, evaluate(mdp, pi))

    return _policy_iteration(mdp, policy, action_values_of)


def policy_iteration_q(mdp: MDP, policy: np.ndarray | None = None, tolerance: float = 1e-10) -> Solution:
    """Policy iteration on Q, each Q^π by sweeps to `tolerance`, τ: Algorithm 2.

    A state changes its action only for one that is better by more than 2τ in Q: that one is better in Q^π too, so that V
    rises and no policy comes twice. The policy's values are at most 4τ/(1 − γ) below the best ones, but for rounding.
    """
    return _policy_iteration(mdp, policy, lambda pi: evaluate_by_iteration_q(mdp, pi, tolerance), 2 * tolerance)


def value_iteration_v(mdp: MDP, tolerance: float = 1e-10) -> Solution:
    """Value iteration on V, to `tolerance`: Algorithm 3."""
    zeros = np.zeros(mdp.states)
    v, rounds = _fixed_point(lambda v: bellman.optimality_operator_v(mdp, v), zeros, mdp.gamma, tolerance)
    q = bellman.action_values(mdp, v)
    return Solution(bellman.greedy(q), v, q, rounds)


def value_iteration_q(mdp: MDP, tolerance: float = 1e-10) -> Solution:
    """Value iteration on Q, to `tolerance`: Algorithm 4."""
    zeros = np.zeros_like(mdp.R)
    q, rounds = _fixed_point(lambda q: bellman.optimality_operator_q(mdp, q), zeros, mdp.gamma, tolerance)
    return Solution(bellman.greedy(q), bellman.best_values(q), q, rounds)


def soft_policy_iteration(mdp: MDP, alpha: float, tolerance: float = 1e-10) -> Solution:
    """The policy that is best with entropy, at temperature α > 0, from the uniform one.

    Parameters
    ----------
    mdp : MDP
    alpha : float
        Temperature, α.
    tolerance : float
        It stops where no value rises by more above its highest so far.
    """
    alpha, tolerance = _temperature(alpha, np.finfo(float).tiny), _tolerance(tolerance)
    pi = np.full_like(mdp.R, 1 / mdp.actions)
    v, rounds = evaluate(mdp, pi, alpha), 0
    highest = v
    while True:
        pi, rounds = bellman.softmax(bellman.action_values(mdp, v), alpha), rounds + 1
        v = evaluate(mdp, pi, alpha)
        before, highest = highest, np.maximum(highest, v)
        if _is_still(highest, before, tolerance):
            return Solution(pi, v, bellman.action_values(mdp, v), rounds)


def _policy_iteration(mdp: MDP, policy: np.ndarray | None, action_values_of: Callable, margin: float = 0.0) -> Solution:
    pi = bellman.greedy(np.zeros_like(mdp.R)) if policy is None else check_policy(mdp, policy)
    rounds = 0
    while True:
        rounds, q = rounds + 1, action_values_of(pi)
        better = _improved(pi, q, margin)
        if np.array_equal(better, pi):
            return Solution(pi, bellman.values(pi, q), q, rounds)
        pi = better


def _improved(pi: np.ndarray, q: np.ndarray, margin: float) -> np.ndarray:
    """The greedy policy of Q; a state whose policy is as good already, but for `margin` and rounding, keeps it.

    Equals would take turns for ever.
    """
    best = q.max(axis=1)
    worse = best - bellman.values(pi, q) > np.maximum(margin, ROUNDING * np.maximum(1, np.abs(best)))
    return np.where(worse[:, None], bellman.greedy(q), pi)


def _fixed_point(operator: Callable, x: np.ndarray, gamma: float, tolerance: float) -> tuple[np.ndarray, int]:
    """What a γ-contraction leads to from x, to `tolerance`, and after how many steps."""
    limit, rounds = _tolerance(tolerance) * (1 - gamma) / max(gamma, tolerance), 0
    while True:
        before, x, rounds = x, operator(x), rounds + 1
        if _is_still(x, before, limit):
            return x, rounds


def _is_still(x: np.ndarray, before: np.ndarray, limit: float) -> bool:
    """Whether no number moved by more than `limit`, or than rounding moves it."""
    return bool(np.abs(x - before).max() <= max(limit, 4 * np.finfo(float).eps * np.abs(x).max()))


def _tolerance(tolerance: float) -> float:
    if not 0 < tolerance < np.inf:
        raise ValueError(f"expected a tolerance > 0, given {tolerance}")
    return float(tolerance)


def _temperature(alpha: float, least: float) -> float:
    if not least <= alpha < np.inf:
        raise ValueError(f"expected a temperature alpha {'> 0' if least else '>= 0'}, given {alpha}")
    return float(alpha)
