"""Where a policy spends its time, and what it earns: the two forms of the objective.

    J(π)   = E[Σ_t γ^t r_t] = Σ_s p_0(s) V^π(s)
    d_γ(s) = (1 − γ) Σ_t γ^t P(s_t = s) = (1 − γ) p_0ᵀ (I − γP_π)⁻¹
    J(π)   = E_{s ~ d_γ, a ~ π}[R]/(1 − γ)

d_γ sums to 1 where no episode ends, and to less elsewhere: the end, which pays nothing, has the rest. The
factor 1/(1 − γ) comes back in every gradient of J that is written as a mean over d_γ. The notes and the lecture
define J as above and leave the factor out.

Shapes: S states, A actions.
"""

import numpy as np

from rl.algorithms.tabular.dynamic_programming import evaluate
from rl.algorithms.tabular.mdp import MDP, check_policy


def expected_return(mdp: MDP, policy: np.ndarray) -> float:
    """J(π) of a policy (S, A)."""
    return float(mdp.start @ evaluate(mdp, policy))


def state_distribution(mdp: MDP, policy: np.ndarray) -> np.ndarray:
    """d_γ (S,) of a policy (S, A)."""
    p = np.einsum("sa,sat->st", check_policy(mdp, policy), mdp.P)
    return (1 - mdp.gamma) * np.linalg.solve((np.eye(mdp.states) - mdp.gamma * p).T, mdp.start)
