"""Returns to the end of the episode, for transitions that a memory holds.

    R_t = Σ_{k≥t} γ^{k−t} r_k         up to the last step T of the episode that the memory holds
    G_t = R_t + γ^{T−t+1} V(s_{T+1})  where that step did not terminate

A `Batch` says the same: R_t as its rewards, s_{T+1} as what follows, and γ^{T−t+1} or 0 as what V
counts there.

Shapes: B rows, R rows of a ring.
"""

import numpy as np

from rl.experience import trees
from rl.experience.replay import Batch, ReplayMemory
from rl.losses.returns import gae


class WholeReturns:
    """R, the last step and what V counts there, of every row of a memory; computed anew when rows were added.

    Parameters
    ----------
    memory : ReplayMemory
    gamma : float
        γ.
    """

    def __init__(self, memory: ReplayMemory, gamma: float):
        self.memory, self.gamma = memory, gamma
        self._known: tuple | None = None

    def batch(self, rows: np.ndarray) -> Batch:
        """The transitions of some rows (B,), with returns over whole episodes."""
        memory = self.memory
        state = memory.heads.tobytes(), memory.sizes.tobytes(), id(memory.rewards)
        if state != self._known:
            self._compute()
            self._known = state
        start = trees.take(memory.observations, rows), memory.actions.take(rows, axis=0)
        following = trees.take(memory.next_observations, self._last[rows])
        weights = np.ones(len(rows), np.float32)
        return Batch(*start, self._returns[rows], following, self._discounts[rows], weights, rows)

    def _compute(self) -> None:
        memory = self.memory
        count = memory.copies * memory.slots
        self._returns, self._discounts = np.zeros(count, np.float32), np.zeros(count, np.float32)
        self._last = np.zeros(count, np.int64)
        for ring, (head, size) in enumerate(zip(memory.heads, memory.sizes, strict=True)):
            rows = ring * memory.slots + (head - size + np.arange(size)) % memory.slots
            if not size:
                continue
            ended = memory.terminated[rows] | memory.truncated[rows]
            ended[-1] = True
            rewards = memory.rewards[rows].astype(np.float64)[:, None]
            nothing = np.zeros_like(rewards)
            self._returns[rows] = gae(rewards, nothing, nothing, ended[:, None], self.gamma, 1.0)[:, 0]
            ends = np.flatnonzero(ended)
            last = ends[np.searchsorted(ends, np.arange(size))]
            counted = self.gamma ** (last - np.arange(size) + 1.0)
            self._discounts[rows] = np.where(memory.terminated[rows[last]], 0.0, counted)
            self._last[rows] = rows[last]
