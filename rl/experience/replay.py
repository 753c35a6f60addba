"""Replay memory: a ring of transitions for each environment copy, sampled by index.

Everything is float32 in arrays that are taken once. A row is number n·L + slot, n the copy and slot its place in that copy's ring
of L slots; the successor of a row is the next slot of the same ring, which is all that n-step returns need.

Shapes: N copies, L slots each, B rows of a batch, O observation, A action dimensions.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rl.experience.episodes import Episodes
from rl.experience.prioritized import Priorities
from rl.state import join, part


@dataclass
class Batch:
    """Rows of the replay memory, ready for an update.

    Attributes
    ----------
    observations, next_observations : arrays (B, O)
        As they were seen, not normalised.
    actions : array (B, A)
        In [−1, 1].
    rewards : array (B,)
        Σ_{k<h} γᵏ r_{t+k}, h steps ahead: as many as asked for, fewer where the episode ended or the memory stops.
    discounts : array (B,)
        What V(next) counts: γ^h, and 0 where the episode *terminated*. A truncated one still bootstraps.
    weights : array (B,)
        Importance of each row in the loss; ones without priorities.
    rows : array (B,) of int
        Where they lie in the memory.
    errors : array (B,), optional
        How far each row's value was off, |δ|: filled in by the update that learned from it.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    discounts: np.ndarray
    weights: np.ndarray
    rows: np.ndarray
    errors: np.ndarray | None = None


class ReplayMemory:
    """The last `capacity` transitions of N environment copies.

    Parameters
    ----------
    capacity : int
        Transitions in all; every copy gets the same share, rounded up.
    observations, actions : int
        O and A.
    priorities : Priorities, optional
        Kept for each row, for draws that are not uniform.
    episodes : Episodes, optional
        Kept for each row, for hindsight.
    """

    FIELDS = ("observations", "next_observations", "actions", "rewards", "terminated", "truncated")

    def __init__(
        self,
        capacity: int,
        observations: int,
        actions: int,
        priorities: Priorities | None = None,
        episodes: Episodes | None = None,
    ):
        self.capacity, self.sizes_of_rows = capacity, (observations, actions)
        self.priorities, self.episodes = priorities, episodes
        self.copies = self.slots = 0
        self._loaded: dict[str, np.ndarray] = {}  # a state that waits for `prepare`

    def prepare(self, copies: int) -> None:
        """Take the memory for N = `copies` environments; nothing if that was done before.

        Raises
        ------
        MemoryError
            If more is needed than is free, before anything is taken.
        ValueError
            If it was prepared for, or loaded from, another number of copies.
        """
        if self.copies not in (0, copies):
            raise ValueError(f"expected {self.copies} environment copies, as the replay memory was made for, given {copies}")
        if self.copies:
            return
        self.slots = -(-self.capacity // copies)
        rows, (observations, actions) = copies * self.slots, self.sizes_of_rows
        extras = sum(extra.BYTES_PER_ROW for _, extra in self._extras())
        needed = self.bytes_needed(self.capacity, *self.sizes_of_rows, copies) + rows * extras
        check_memory(needed, f"a replay memory of {self.capacity:,}")
        self.copies = copies
        if self.priorities is not None:
            self.priorities.prepare(rows)
        if self.episodes is not None:
            self.episodes.prepare(copies, self.slots)
        self.observations = np.zeros((rows, observations), np.float32)
        self.next_observations = np.zeros((rows, observations), np.float32)
        self.actions = np.zeros((rows, actions), np.float32)
        self.rewards = np.zeros(rows, np.float32)
        self.terminated, self.truncated = np.zeros(rows, bool), np.zeros(rows, bool)
        self.heads, self.sizes = np.zeros(copies, np.int64), np.zeros(copies, np.int64)  # next slot, filled slots
        if self._loaded:
            self._fill(self._loaded)
            self._loaded = {}

    @staticmethod
    def bytes_needed(capacity: int, observations: int, actions: int, copies: int = 1) -> int:
        """What `capacity` transitions take: two observations, an action, a reward, two flags each."""
        return copies * -(-capacity // copies) * (4 * (2 * observations + actions + 1) + 2)

    def __len__(self) -> int:
        return int(self.sizes.sum()) if self.copies else 0

    def add(self, observations, actions, rewards, next_observations, terminated, truncated, alive) -> np.ndarray:
        """Take in one step of every copy that is `alive` (N,); a full ring forgets its oldest. Returns the rows written."""
        copies = np.flatnonzero(alive)
        rows = copies * self.slots + self.heads[copies]
        columns = observations, next_observations, actions, rewards, terminated, truncated
        for name, values in zip(self.FIELDS, columns, strict=True):
            getattr(self, name)[rows] = values[copies]
        self.heads[copies] = (self.heads[copies] + 1) % self.slots
        self.sizes[copies] = np.minimum(self.sizes[copies] + 1, self.slots)
        if self.priorities is not None:
            self.priorities.insert(rows)
        if self.episodes is not None:
            self.episodes.add(rows, self.terminated[rows] | self.truncated[rows])
        return rows

    def cut(self, copies: np.ndarray) -> None:
        """The next step of these copies, a mask (N,), begins an episode: whatever went on is truncated.

        An environment that was exchanged, or whose situation was not saved, never says that its episode ended.
        """
        copies = np.flatnonzero(copies & (self.sizes > 0))
        newest = copies * self.slots + (self.heads[copies] - 1) % self.slots
        newest = newest[~(self.terminated[newest] | self.truncated[newest])]
        self.truncated[newest] = True
        if self.episodes is not None:
            self.episodes.close(newest)

    def draw(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Rows (size,), each with the same probability."""
        if (self.sizes == self.slots).all():
            return rng.integers(self.copies * self.slots, size=size)
        ends = self.sizes.cumsum()
        numbers = rng.integers(ends[-1], size=size)
        copies = np.searchsorted(ends, numbers, side="right")
        return copies * self.slots + numbers - (ends - self.sizes)[copies]  # a ring that is not full starts at slot 0

    def newest(self, count: int) -> np.ndarray:
        """The rows of the last `count` steps of every copy, as far as there are any: (up to N·count,)."""
        ages = np.arange(1, count + 1)
        slots = (self.heads[:, None] - ages) % self.slots
        rows = np.arange(self.copies)[:, None] * self.slots + slots
        return rows[ages <= self.sizes[:, None]]

    def batch(
        self,
        rows: np.ndarray,
        gamma: float,
        n_step: int = 1,
        weights: np.ndarray | None = None,
        step_rewards: Callable[[np.ndarray], np.ndarray] | None = None,
        step_ends: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> Batch:
        """The transitions of some rows (B,), with returns over `n_step` steps.

        `step_rewards` tells the rewards (B,) of the steps in B rows, `step_ends` whether they terminated (B,), where what was
        remembered is not what counts.
        """
        step_rewards = step_rewards or self.rewards.take
        last, rewards, discounts = rows, step_rewards(rows), np.full(len(rows), gamma, np.float32)
        for _ in range(n_step - 1):
            following, go_on = self._successors(last)
            if step_ends is not None:
                go_on &= ~step_ends(last)
            rewards += np.where(go_on, discounts * step_rewards(following), 0)
            discounts = np.where(go_on, discounts * np.float32(gamma), discounts)
            last = np.where(go_on, following, last)
        terminated = (step_ends or self.terminated.take)(last)
        discounts = np.where(terminated, np.float32(0), discounts)
        next_observations = self.next_observations.take(last, axis=0)
        weights = np.ones(len(rows), np.float32) if weights is None else weights
        start = self.observations.take(rows, axis=0), self.actions.take(rows, axis=0)
        return Batch(*start, rewards, next_observations, discounts, weights, rows)

    def _successors(self, rows):
        """The row after each, and whether it belongs to the same episode and was written."""
        copies, slots = np.divmod(rows, self.slots)
        following = (slots + 1) % self.slots
        written = following != self.heads.take(copies)  # the head is the oldest row, or empty
        ended = self.terminated.take(rows) | self.truncated.take(rows)
        return copies * self.slots + following, written & ~ended

    def state_dict(self) -> dict[str, np.ndarray]:
        """The filled part, and where the heads stand; empty before `prepare`."""
        if not self.copies:
            return self._loaded
        filled = self._filled()
        own = {name: getattr(self, name)[filled] for name in self.FIELDS} | {"heads": self.heads, "sizes": self.sizes}
        return own | join({name: extra.state_dict(filled) for name, extra in self._extras()})

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a `state_dict()` of a memory of the same capacity; before `prepare`, it is kept until then."""
        if self.copies:
            self._fill(state)
        else:
            self._loaded = state

    def _fill(self, state):
        if state["heads"].shape != self.heads.shape or (state["sizes"] > self.slots).any():
            given = f"{len(state['sizes'])} copies with {state['sizes'].max()} each"
            raise ValueError(f"expected a replay memory of {self.copies} copies with up to {self.slots} transitions, given {given}")
        self.heads[:], self.sizes[:] = state["heads"], state["sizes"]
        filled = self._filled()
        for name in self.FIELDS:
            getattr(self, name)[filled] = state[name]
        for name, extra in self._extras():
            extra.load_state_dict(part(state, name), filled)

    def _extras(self):
        extras = {"priorities": self.priorities, "episodes": self.episodes}
        return [(name, extra) for name, extra in extras.items() if extra is not None]

    def _filled(self):
        return (np.arange(self.slots) < self.sizes[:, None]).ravel()


def check_memory(needed: int, what: str) -> None:
    """Raise MemoryError if `needed` bytes are more than are free; where the system does not tell, nothing is checked."""
    free = free_memory()
    if free is not None and needed > free:
        raise MemoryError(f"{what} needs {needed / 2**30:.2f} GiB, but only {free / 2**30:.2f} GiB are free")


def free_memory() -> int | None:
    """Bytes that can be taken without swapping; None where the system does not tell."""
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
