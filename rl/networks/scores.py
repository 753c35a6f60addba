"""Lengths of scores: ‖∇_θ ln π(a|s)‖² of every row by itself.

One backward pass sums over the rows, and the sum's length is not the sum of lengths. So each row gets a pass of its own: some
50 µs, whatever the network.

Shapes: B rows.
"""

import numpy as np

from rl.experience import trees
from rl.experience.trees import Observations
from rl.networks.policies import Policy


def squared_score_norms(policy: Policy, observations: Observations, actions: np.ndarray) -> np.ndarray:
    """‖∇_θ ln π(a|s)‖² for observations (B, …) and actions: (B,). Overwrites the policy's gradient."""
    vector, norms = policy.flat, np.empty(len(actions))
    for i in range(len(actions)):
        distribution, action = policy.forward(trees.at(observations, slice(i, i + 1))), actions[i : i + 1]
        vector.zero_grad()
        policy.backward(distribution.log_prob_backward(action, np.ones(1, vector.data.dtype)), inputs=False)
        norms[i] = np.dot(vector.grad, vector.grad)
    return norms
