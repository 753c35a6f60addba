"""Replay memory: a ring of transitions for each environment copy, sampled by index.

Arrays are taken once: observations in their own types (images stay uint8), choices as integers,
everything else float32. A row is number n·L + slot, n the copy and slot its place in that copy's
ring of L slots; the successor of a row is the next slot of the same ring, which is all that n-step
returns need.

Shapes: N copies, L slots each, B rows of a batch, O observation, A action dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl.experience import trees
from rl.experience.episodes import Episodes
from rl.experience.memory_limit import check_memory
from rl.experience.prioritized import Priorities
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.state import restore, state_of


@dataclass
class Batch:
    """Rows of the replay memory, ready for an update.

    Attributes
    ----------
    observations, next_observations : (B, …)
        As the environment gave them, not normalised.
    actions : array (B, A), (B,) or (B, K)
        In [−1, 1], or choices.
    rewards : array (B,)
        Σ_{k<h} γᵏ r_{t+k}, h steps ahead: as many as asked for, fewer where the episode ended or
        the memory stops.
    discounts : array (B,)
        What V(next) counts: γ^h, and 0 where the episode *terminated*. A truncated one still
        bootstraps.
    weights : array (B,)
        Importance of each row in the loss; ones without priorities.
    rows : array (B,) of int
        Where they lie in the memory.
    """

    observations: Observations
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: Observations
    discounts: np.ndarray
    weights: np.ndarray
    rows: np.ndarray


class ReplayMemory:
    """The last `capacity` transitions of N environment copies.

    Parameters
    ----------
    capacity : int
        Transitions in all; every copy gets the same share, rounded up.
    space : SpaceInfo
        What observations and actions look like.
    dtype
        Of the vector part of observations.
    priorities : Priorities, optional
        Kept for each row, for draws that are not uniform.
    episodes : Episodes, optional
        Kept for each row, for hindsight.
    """

    FIELDS = ("actions", "rewards", "terminated", "truncated")

    def __init__(
        self,
        capacity: int,
        space: SpaceInfo,
        dtype: Any = np.float32,
        priorities: Priorities | None = None,
        episodes: Episodes | None = None,
    ):
        self.capacity, self.space, self.dtype = capacity, space, np.dtype(dtype)
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
        slots = -(-self.capacity // copies)
        check_memory(copies * slots * self.bytes_per_row, f"a replay memory of {self.capacity:,}")
        if self._loaded:
            self._check(self._loaded, copies, slots)
        self._take(copies, slots)
        if self._loaded:
            self._fill(self._loaded)
            self._loaded = {}

    def _take(self, copies, slots):
        self.copies, self.slots, rows = copies, slots, copies * slots
        for extra in self._extras().values():
            extra.prepare(copies, slots)
        self.observations, self.next_observations = self._empty(rows), self._empty(rows)
        shape, dtype = self.space.action.stored
        self.actions, self.rewards = np.zeros((rows, *shape), dtype), np.zeros(rows, np.float32)
        self.terminated, self.truncated = np.zeros(rows, bool), np.zeros(rows, bool)
        self.heads, self.sizes = np.zeros(copies, np.int64), np.zeros(copies, np.int64)  # next slot, filled slots

    def _empty(self, rows) -> Observations:
        return self.space.observation.empty(rows, self.dtype)

    @property
    def bytes_per_row(self) -> int:
        """What a transition takes: two observations, an action, a reward, two flags, and what priorities and episodes keep."""
        shape, dtype = self.space.action.stored
        observation = sum(part[:1].nbytes for part in trees.parts(self._empty(1)))
        return 2 * observation + np.zeros(shape, dtype).nbytes + 4 + 2 + sum(x.BYTES_PER_ROW for x in self._extras().values())

    def __len__(self) -> int:
        return int(self.sizes[0] if self.copies == 1 else self.sizes.sum()) if self.copies else 0

    def add(self, observations, actions, rewards, next_observations, terminated, truncated, valid) -> np.ndarray:
        """Take in one step of every copy that is `valid` (N,); a full ring forgets its oldest.

        Returns the rows written.
        """
        copies, rows, following = self._next(valid)
        trees.write(self.observations, rows, trees.at(observations, copies))
        trees.write(self.next_observations, rows, trees.at(next_observations, copies))
        self.actions[rows], self.rewards[rows] = actions[copies], rewards[copies]
        self.terminated[rows], self.truncated[rows] = terminated[copies], truncated[copies]
        self.heads[copies] = following % self.slots
        self.sizes[copies] = np.maximum(self.sizes[copies], following)  # slots are filled in their order
        rows = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        if self.priorities is not None:
            self.priorities.insert(rows)
        if self.episodes is not None:
            self.episodes.add(rows, self.terminated[rows] | self.truncated[rows])
        return rows

    def _next(self, valid):
        """The copies that are `valid` (N,), the rows that they write, and the slots after those.

        Of one copy, both are slices: NumPy is quicker with them.
        """
        if self.copies == 1:
            head = int(self.heads[0])
            following = head + int(valid[0])
            return slice(None), slice(head, following), following
        copies = np.flatnonzero(valid)
        heads = self.heads[copies]
        return copies, copies * self.slots + heads, heads + 1

    def begin(self, num_envs: int) -> None:
        """The next step of every copy begins an episode: whatever went on is truncated.

        An environment that was exchanged, or whose situation was not saved, never says that its
        episode ended.
        """
        self.prepare(num_envs)
        copies = np.flatnonzero(self.sizes > 0)
        newest = copies * self.slots + (self.heads[copies] - 1) % self.slots
        newest = newest[~(self.terminated[newest] | self.truncated[newest])]
        self.truncated[newest] = True
        if self.episodes is not None:
            self.episodes.close(newest)

    def draw(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Rows (size,), each with the same probability."""
        if self.copies == 1:
            return rng.integers(self.sizes[0], size=size)
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

        `step_rewards` gives the rewards (B,) of the steps in B rows, `step_ends` whether they
        terminated (B,), where what was stored is not what counts.
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
        weights = np.ones(len(rows), np.float32) if weights is None else weights
        start = trees.take(self.observations, rows), self.actions.take(rows, axis=0)
        return Batch(*start, rewards, trees.take(self.next_observations, last), discounts, weights, rows)

    def _successors(self, rows):
        """The row after each, and whether it holds the next step of the same episode."""
        copies, slots = np.divmod(rows, self.slots)
        following = (slots + 1) % self.slots
        newer = following != self.heads.take(copies)  # the head is the oldest row, or empty
        ended = self.terminated.take(rows) | self.truncated.take(rows)
        return copies * self.slots + following, newer & ~ended

    def state_dict(self) -> dict[str, np.ndarray]:
        """The filled part, and where the heads stand; empty before `prepare`."""
        if not self.copies:
            return self._loaded
        filled = self._filled()
        own = {name: array[filled] for name, array in self._columns().items()} | {"heads": self.heads, "sizes": self.sizes}
        return own | state_of({name: _Rows(extra, filled) for name, extra in self._extras().items()})

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a `state_dict()` of a memory of the same capacity; before `prepare`, it is kept until then.

        Raises
        ------
        ValueError
            If a shape or a number does not fit; nothing is changed then.
        """
        if not state:
            return
        copies = len(state["heads"])
        self._check(state, self.copies or copies, self.slots or -(-self.capacity // max(copies, 1)))
        if self.copies:
            self._fill(state)
        else:
            self._loaded = state

    def _check(self, state, copies, slots):
        heads, sizes = state["heads"], state["sizes"]
        fits = heads.shape == sizes.shape == (copies,) and ((sizes >= 0) & (sizes <= slots)).all()
        if not fits or not ((heads >= 0) & (heads < slots) & ((sizes == slots) | (heads == sizes))).all():
            given = f"{len(sizes)} copies with up to {sizes.max(initial=0)}"
            raise ValueError(f"expected a replay memory of {copies} copies with up to {slots} transitions, given {given}")
        filled, (shape, _) = int(sizes.sum()), self.space.action.stored
        shapes = {"actions": shape, "rewards": (), "terminated": (), "truncated": ()}
        for name in ("observations", "next_observations"):
            shapes |= {f"{name}{i}": part.shape[1:] for i, part in enumerate(trees.parts(self._empty(0)))}
        shapes = {name: (filled, *shape) for name, shape in shapes.items()}
        for prefix, extra in self._extras().items():
            shapes |= {f"{prefix}.{name}": shape for name, shape in extra.shapes(filled, copies).items()}
        for name, expected in shapes.items():
            if state[name].shape != expected:
                raise ValueError(f"expected {name} of shape {expected}, given {state[name].shape}")

    def _fill(self, state):
        self.heads[:], self.sizes[:] = state["heads"], state["sizes"]
        filled = self._filled()
        for name, array in self._columns().items():
            array[filled] = state[name]
        restore(
            {name: _Rows(extra, filled) for name, extra in self._extras().items()}, {k: v for k, v in state.items() if "." in k}
        )

    def _columns(self):
        both = {"observations": self.observations, "next_observations": self.next_observations}
        columns = {f"{name}{i}": part for name, tree in both.items() for i, part in enumerate(trees.parts(tree))}
        return columns | {name: getattr(self, name) for name in self.FIELDS}

    def _extras(self):
        extras = {"priorities": self.priorities, "episodes": self.episodes}
        return {name: extra for name, extra in extras.items() if extra is not None}

    def _filled(self) -> slice | np.ndarray:
        """The filled rows: a slice, which copies nothing, where they lie together."""
        if self.copies == 1 or (self.sizes == self.slots).all():
            return slice(0, int(self.sizes.sum()))
        return (np.arange(self.slots) < self.sizes[:, None]).ravel()


class _Rows:
    """What priorities or episodes keep of the filled rows, as a part."""

    def __init__(self, extra: Priorities | Episodes, filled: slice | np.ndarray):
        self.extra, self.filled = extra, filled

    def state_dict(self) -> dict[str, np.ndarray]:
        return self.extra.state_dict(self.filled)

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        self.extra.load_state_dict(state, self.filled)
