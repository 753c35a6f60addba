"""Returns to the end of the episode, for transitions that a memory holds.

    R_t = Σ_{k≥t} γ^{k−t} r_k         up to the last step T of the episode that the memory holds
    G_t = R_t + γ^{T−t+1} V(s_{T+1})  where that step did not terminate

A `Batch` says the same: R_t as its rewards, s_{T+1} as what follows, and γ^{T−t+1} or 0 as what V
counts there.

With λ < 1 a return is over h steps, and V completes it there, unless the episode ends before:

    h ~ (1 − λ)λ^{h−1}              drawn anew for each row: the mean over draws is the return of TD(λ)
    R_t^h = R_t − γ^h R_{t+h}

Shapes: B rows, R rows of a ring.
"""

import numpy as np

from rl.experience import trees
from rl.experience.replay import Batch, ReplayMemory
from rl.losses.returns import gae


class WholeReturns:
    """R, and the steps to the end, of every row of a memory; computed anew when rows were added.

    Parameters
    ----------
    memory : ReplayMemory
    gamma : float
        γ.
    """

    def __init__(self, memory: ReplayMemory, gamma: float):
        self.memory, self.gamma = memory, gamma
        self._known: tuple | None = None

    def batch(self, rows: np.ndarray, lam: float, rng: np.random.Generator) -> Batch:
        """The transitions of some rows (B,), with returns over whole episodes; with `lam` < 1 over h steps, which `rng` draws."""
        memory = self.memory
        state = memory.heads.tobytes(), memory.sizes.tobytes(), id(memory.rewards)
        if state != self._known:
            self._compute()
            self._known = state
        rewards, discounts, lengths = self._returns[rows], self._discounts[rows], self._lengths[rows]
        if lam < 1:
            h = rng.geometric(1 - lam, len(rows))
            cut, lengths, discount = h < lengths, np.minimum(h, lengths), (self.gamma**h).astype(np.float32)
            rewards = rewards - np.where(cut, discount * self._returns[self._later(rows, lengths)], np.float32(0))
            discounts = np.where(cut, discount, discounts)
        start = trees.take(memory.observations, rows), memory.actions.take(rows, axis=0)
        following = trees.take(memory.next_observations, self._later(rows, lengths - 1))
        return Batch(*start, rewards, following, discounts, np.ones(len(rows), np.float32), rows)

    def _later(self, rows, steps):
        """The rows (B,) so many steps later, of the same rings."""
        ring, slot = np.divmod(rows, self.memory.slots)
        return ring * self.memory.slots + (slot + steps) % self.memory.slots

    def _compute(self) -> None:
        memory = self.memory
        count = memory.copies * memory.slots
        self._returns, self._discounts = np.zeros(count, np.float32), np.zeros(count, np.float32)
        self._lengths = np.zeros(count, np.int64)  # steps to the end, that of the row among them
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
            self._lengths[rows] = last - np.arange(size) + 1
            counted = self.gamma ** self._lengths[rows].astype(np.float64)
            self._discounts[rows] = np.where(memory.terminated[rows[last]], 0.0, counted)
