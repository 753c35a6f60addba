"""The Bellman operators, of a policy and of the best one, on V and on Q; and the soft ones.

Everything is made of two steps, from V to Q and back:

    Q(s, a) = R(s, a) + γ Σ_s′ P(s′|s, a) V(s′)                                       `action_values`
    V(s)    = Σ_a π(a|s) Q(s, a)                                                      `values`
              max_a Q(s, a)                                                           `best_values`
              Σ_a π(a|s) (Q(s, a) − α ln π(a|s))  = E_π Q + α H(π)                    `soft_values`
              α ln Σ_a exp(Q(s, a)/α)  = max_π (E_π Q + α H(π))                       `best_soft_values`

    B^π V = E_π[R + γPV]       B^π Q = R + γP E_π Q       B* V = max_a (R + γPV)       B* Q = R + γP max_a Q

All of them are γ-contractions in the largest absolute value: |max_a x − max_a y| ≤ max_a |x − y|, averages are
no larger than what they average, the entropy cancels in a difference, and ln Σ exp has a gradient that sums to 1.

The soft maximum belongs to π ∝ exp(Q/α) (`softmax`), a distribution. The notes print an argmax over actions.

Shapes: S states, A actions; V (S,), Q and π (S, A).
"""

import numpy as np

from rl.algorithms.tabular.mdp import MDP


def action_values(mdp: MDP, v: np.ndarray) -> np.ndarray:
    """V (S,) -> Q (S, A): what each action is worth if V is what comes after it."""
    return mdp.R + mdp.gamma * mdp.P @ v


def values(pi: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Q (S, A) -> V (S,) of the policy π (S, A)."""
    return (pi * q).sum(axis=1)


def best_values(q: np.ndarray) -> np.ndarray:
    """Q (S, A) -> V (S,) of the greedy policy."""
    return q.max(axis=1)


def soft_values(pi: np.ndarray, q: np.ndarray, alpha: float) -> np.ndarray:
    """Q (S, A) -> V (S,) of π (S, A) with its entropy, at temperature α >= 0."""
    return values(pi, q) + alpha * entropies(pi)


def best_soft_values(q: np.ndarray, alpha: float) -> np.ndarray:
    """Q (S, A) -> V (S,) of the soft greedy policy, at temperature α > 0."""
    largest = q.max(axis=1, keepdims=True)
    return largest[:, 0] + alpha * np.log(np.exp((q - largest) / alpha).sum(axis=1))


def entropies(pi: np.ndarray) -> np.ndarray:
    """H(π(·|s)) (S,) of a policy (S, A); 0 ln 0 is 0."""
    return -(pi * np.log(np.where(pi > 0, pi, 1.0))).sum(axis=1)


def greedy(q: np.ndarray) -> np.ndarray:
    """Q (S, A) -> the policy (S, A) that takes the best action; of equal ones, the first."""
    return np.eye(q.shape[1])[q.argmax(axis=1)]


def softmax(q: np.ndarray, alpha: float) -> np.ndarray:
    """Q (S, A) -> the policy π ∝ exp(Q/α) (S, A), at temperature α > 0."""
    weights = np.exp((q - q.max(axis=1, keepdims=True)) / alpha)
    return weights / weights.sum(axis=1, keepdims=True)


def policy_operator_v(mdp: MDP, pi: np.ndarray, v: np.ndarray) -> np.ndarray:
    """B^π on V (S,)."""
    return values(pi, action_values(mdp, v))


def policy_operator_q(mdp: MDP, pi: np.ndarray, q: np.ndarray) -> np.ndarray:
    """B^π on Q (S, A)."""
    return action_values(mdp, values(pi, q))


def optimality_operator_v(mdp: MDP, v: np.ndarray) -> np.ndarray:
    """B* on V (S,)."""
    return best_values(action_values(mdp, v))


def optimality_operator_q(mdp: MDP, q: np.ndarray) -> np.ndarray:
    """B* on Q (S, A)."""
    return action_values(mdp, best_values(q))


def soft_policy_operator_v(mdp: MDP, pi: np.ndarray, v: np.ndarray, alpha: float) -> np.ndarray:
    """The soft B^π on V (S,)."""
    return soft_values(pi, action_values(mdp, v), alpha)


def soft_policy_operator_q(mdp: MDP, pi: np.ndarray, q: np.ndarray, alpha: float) -> np.ndarray:
    """The soft B^π on Q (S, A): its reward is R + **γ** α E[H(π(·|s′))]; the lecture leaves out γ."""
    return action_values(mdp, soft_values(pi, q, alpha))


def soft_optimality_operator_v(mdp: MDP, v: np.ndarray, alpha: float) -> np.ndarray:
    """The soft B* on V (S,)."""
    return best_soft_values(action_values(mdp, v), alpha)


def soft_optimality_operator_q(mdp: MDP, q: np.ndarray, alpha: float) -> np.ndarray:
    """The soft B* on Q (S, A)."""
    return action_values(mdp, best_soft_values(q, alpha))
