"""Random decision processes ("Garnets", Archibald et al. 1995): each action leads to a few states, drawn at random."""

import numpy as np

from rl.algorithms.tabular.mdp import MDP


def garnet(
    seed: int, states: int = 8, actions: int = 3, branches: int = 3, gamma: float = 0.9, ends: float = 0.0, rewards: float = 1.0
) -> MDP:
    """A process of so many states; an action leads to `branches` of them, or ends the episode with probability `ends`."""
    rng = np.random.default_rng(seed)
    transitions = np.zeros((states, actions, states))
    for row in transitions.reshape(-1, states):
        row[rng.choice(states, branches, replace=False)] = (1 - ends) * rng.dirichlet(np.ones(branches))
    return MDP(transitions, rewards * rng.normal(size=(states, actions)), gamma, rng.dirichlet(np.ones(states)))


def policy(seed: int, mdp: MDP, concentration: float = 1.0) -> np.ndarray:
    """A random policy (S, A)."""
    return np.random.default_rng(seed).dirichlet(np.full(mdp.actions, concentration), size=mdp.states)
