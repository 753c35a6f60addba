"""Replay memory: a ring of transitions for each environment copy, sampled by index.

Arrays are taken once: observations in their own types (images stay uint8), choices as integers,
everything else float32. A row is number n·L + slot, n the copy and slot its place in that copy's
ring of L slots; the successor of a row is the next slot of the same ring, which is all that n-step
returns need.

Shapes: N copies, L slots each, B rows of a batch, O observation, A action dimensions.
"""

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rl.experience import trees
from rl.experience.episodes import Episodes
from rl.experience.frozen import FrozenMemory
from rl.experience.memory_limit import check_memory
from rl.experience.prioritized import Priorities
from rl.experience.replay_state import Kind, State, check_rings, fill, state_of_rings
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations


@dataclass
class Batch:
    """Rows of the replay memory, ready for an update.

    Attributes
    ----------
    observations, next_observations : (B, …)
        As the environment gave them, not normalised. For networks with memory `Sequences` and
        `Following` (sequences.py), as they see them.
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

    observations: Any
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: Any
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
        self._frozen: list[weakref.ref[FrozenMemory]] = []  # what may still be read while rows are overwritten

    def prepare(self, copies: int) -> None:
        """Take the memory for N = `copies` environments; what is in it already is dealt to so many rings.

        Where that changes their number, episodes under way are cut, as if truncated, and memory for
        one or two columns more is needed for a while.

        Raises
        ------
        MemoryError
            If more is needed than is free, before anything is taken.
        """
        if copies == self.copies:
            return
        state = self.pieces()
        self._take(copies)
        if state:
            fill(self, state)

    def _take(self, copies):
        """Empty rings for so many copies."""
        slots, columns = -(-self.capacity // copies), self.columns()
        needed = 2 * max(x.nbytes for x in columns.values()) if columns else copies * slots * self.bytes_per_row
        check_memory(needed, f"a replay memory of {self.capacity:,}")
        self.copies, self.slots, rows, self._frozen = copies, slots, copies * slots, []
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
        if self._frozen:
            self._frozen = [frozen for frozen in self._frozen if _makes_way(frozen())]
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

    def filled(self) -> np.ndarray:
        """The rows that hold a transition, copy after copy: (len(self),)."""
        return np.concatenate([np.zeros(0, np.int64), *(n * self.slots + np.arange(size) for n, size in enumerate(self.sizes))])

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
            following, go_on = self.successors(last)
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

    def successors(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The row after each of some rows (B,), and whether it holds the next step of the same episode (B,)."""
        copies, slots = np.divmod(rows, self.slots)
        following = (slots + 1) % self.slots
        newer = following != self.heads.take(copies)  # the head is the oldest row, or empty
        ended = self.terminated.take(rows) | self.truncated.take(rows)
        return copies * self.slots + following, newer & ~ended

    def state_dict(self) -> dict[str, np.ndarray]:
        """The filled rows of all rings, and where the heads stand; empty before `prepare`."""
        return {name: np.asarray(array) for name, array in self.pieces().items()}

    def pieces(self) -> dict[str, Any]:
        """`state_dict()` without a copy: where rows of several rings lie apart, `Pieces` of them."""
        return state_of_rings(self) if self.copies else {}

    def load_state_dict(self, state: State) -> None:
        """Restore a `state_dict()`; one of other rings, or of another capacity, is dealt anew (see dealing.py).

        Its arrays may lie in a file. An empty one changes nothing.

        Raises
        ------
        ValueError
            If something is missing, or a shape, a type or a number does not fit.
        MemoryError
            If more is needed than is free, before anything is taken.
        """
        if not state:
            return
        check_rings(state, self._kinds(), self._number_kinds())
        self._take(self.copies or len(state["heads"]))
        fill(self, dict(state))

    def frozen(self) -> FrozenMemory:
        """The state as it is now, to be read by another thread while `add` goes on; see frozen.py."""
        frozen = FrozenMemory(self)
        self._frozen.append(weakref.ref(frozen))
        return frozen

    def columns(self) -> dict[str, np.ndarray]:
        """What is kept of each row, by name: arrays (N·L, …); none before `prepare`."""
        if not self.copies:
            return {}
        both = {"observations": self.observations, "next_observations": self.next_observations}
        columns = {f"{name}{i}": part for name, tree in both.items() for i, part in enumerate(trees.parts(tree))}
        columns |= {name: getattr(self, name) for name in self.FIELDS}
        return columns | {f"{prefix}.{name}": x for prefix, extra in self._extras().items() for name, x in extra.columns().items()}

    def stable(self) -> frozenset[str]:
        """The columns that `add` alone writes to, and only to the rows that it adds."""
        return frozenset(name for name in self._kinds() if name != "truncated" and "." not in name)

    def numbers(self) -> dict[str, np.ndarray]:
        """What is kept besides columns: where the rings stand, and what priorities and episodes know."""
        numbers = {f"{prefix}.{name}": x for prefix, extra in self._extras().items() for name, x in extra.numbers().items()}
        return {"heads": self.heads, "sizes": self.sizes, **numbers}

    def restored(self, numbers: Mapping[str, np.ndarray]) -> None:
        """Columns were written; these are their `numbers()`."""
        self.heads[:], self.sizes[:] = numbers["heads"], numbers["sizes"]
        for prefix, extra in self._extras().items():
            extra.restored({name: numbers[f"{prefix}.{name}"] for name in extra.NUMBERS})

    def _kinds(self) -> dict[str, Kind]:
        """Shape and type of a row of each column."""
        kinds: dict[str, Kind] = {"rewards": ((), np.float32), "terminated": ((), bool), "truncated": ((), bool)}
        kinds["actions"] = self.space.action.stored
        for name in ("observations", "next_observations"):
            kinds |= {f"{name}{i}": (part.shape[1:], part.dtype) for i, part in enumerate(trees.parts(self._empty(0)))}
        return kinds | {
            f"{prefix}.{name}": ((), dtype) for prefix, extra in self._extras().items() for name, dtype in extra.COLUMNS.items()
        }

    def _number_kinds(self) -> dict[str, Kind]:
        kinds: dict[str, Kind] = {"heads": (("N",), np.int64), "sizes": (("N",), np.int64)}
        return kinds | {
            f"{prefix}.{name}": kind for prefix, extra in self._extras().items() for name, kind in extra.NUMBERS.items()
        }

    def _extras(self) -> dict[str, Priorities | Episodes]:
        extras = {"priorities": self.priorities, "episodes": self.episodes}
        return {name: extra for name, extra in extras.items() if extra is not None}


def _makes_way(frozen: FrozenMemory | None) -> bool:
    return frozen is not None and frozen.make_way()


class Remembers(Protocol):
    """What may have replay memories, for an environment: an `Agent`."""

    env: Any

    def parts(self) -> Mapping[str, Any]: ...


def prepare_memories(agent: Remembers) -> None:
    """Take the memory for all transitions; MemoryError, before anything is taken, where it is more than is free."""
    for part in agent.parts().values():
        if isinstance(part, ReplayMemory) and agent.env is not None:
            part.prepare(agent.env.num_envs)
