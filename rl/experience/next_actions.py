"""Single steps with the action that was taken next, for methods that learn what the data's own policy earns.

    (s, a, r, s′, a′)         a′ stands in the next row of the same episode
    terminated                nothing comes after: a′ does not count
    truncated, or the last    nobody acted in s′: the row has weight 0
    row of an episode that
    goes on

Shapes: B rows, A action dimensions.
"""

from dataclasses import dataclass

import numpy as np

from rl.experience.replay import Batch, ReplayMemory


@dataclass
class NextBatch(Batch):
    """A batch of single steps; its weights are 0 where the next action is not known.

    Attributes
    ----------
    next_actions : array (B, A), (B,) or (B, K)
        a′, as `actions`; anything where nothing comes after, or the weight is 0.
    """

    next_actions: np.ndarray


def with_next_actions(memory: ReplayMemory, rows: np.ndarray, gamma: float) -> NextBatch:
    """The transitions of some rows (B,), and what was done in s′."""
    batch = memory.batch(rows, gamma)
    following, known = memory.successors(rows)
    weights = (known | memory.terminated.take(rows)).astype(np.float32)
    start = batch.observations, batch.actions, batch.rewards, batch.next_observations, batch.discounts
    return NextBatch(*start, weights, rows, memory.actions.take(following, axis=0))
