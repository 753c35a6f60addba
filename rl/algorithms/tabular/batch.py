"""The Bellman operators of a fixed set of transitions (the batch form of the notes).

    B̂ Q(s, a) = mean over the rows of (s, a) of  r + γ max_a′ Q(s′, a′)           for Q-learning
                                             or  r + γ Σ_a′ π(a′|s′) Q(s′, a′)    for SARSA with a policy π

A mean over rows is a mean over the frequencies of their outcomes. So these are the Bellman operators of the decision process
that the rows estimate, and what dynamic programming finds there is what the batch methods find: Q-learning from data is value
iteration on the estimated process, SARSA from data its policy iteration.

Deviation: a pair that no row has is worth 0.

Shapes: B rows, S states, A actions.
"""

import numpy as np

from rl.algorithms.tabular.mdp import MDP
from rl.experience.visits import Transitions, check_within


def estimated(rows: Transitions, states: int, actions: int, gamma: float) -> MDP:
    """The decision process of the frequencies in some rows (B,); those that are not valid are left out.

    Its start is any state, as often as the rows have it.

    Raises
    ------
    ValueError
        For numbers of states or actions that the rows exceed, and for no rows.
    """
    s, a, r, s_next, terminated = (np.asarray(x)[np.asarray(rows.valid, bool)] for x in rows[:5])
    if not len(s):
        raise ValueError("expected transitions, given none")
    for name, numbers, count in (("states", s, states), ("actions", a, actions), ("next states", s_next, states)):
        check_within(name, numbers, 0, count - 1)
    number, rewards = np.zeros((2, states, actions))
    transitions = np.zeros((states, actions, states))
    np.add.at(number, (s, a), 1)
    np.add.at(rewards, (s, a), r)
    np.add.at(transitions, (s, a, s_next), ~np.asarray(terminated, bool))
    tried = np.maximum(number, 1)
    return MDP(transitions / tried[:, :, None], rewards / tried, gamma, number.sum(axis=1) / len(s))
