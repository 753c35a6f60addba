"""Rings of transitions dealt anew to another number of rings, or to longer or shorter ones.

    split every ring at its episodes' ends
    from the oldest to the newest piece: to the ring that holds least, what does not fit to the next

So every new ring holds about as much, in the order of time, and forgets its oldest first. An
episode stays whole, but for those that fill a ring's share. Where a piece ends without its
episode's end, the episode is cut, as if it was truncated there.

Shapes: N rings before, M rings after, L slots of a ring after, F filled rows.
"""

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Deal:
    """Which rows each new ring gets, the oldest first.

    Attributes
    ----------
    rows : list of array of int
        For each of M rings, numbers of filled rows: the first ring's in the order of its slots,
        then the second's, ….
    pieces : list of array of int
        For each ring, the lengths of the pieces of episodes that it got.
    """

    rows: list[np.ndarray]
    pieces: list[np.ndarray]

    @property
    def sizes(self) -> np.ndarray:
        """Rows of each ring (M,)."""
        return np.array([len(rows) for rows in self.rows], np.int64)

    def positions(self, ring: int) -> tuple[np.ndarray, np.ndarray]:
        """Of a ring's rows (n,): the steps before each in its piece, and the steps after it."""
        lengths = self.pieces[ring]
        ends = np.cumsum(lengths)
        steps = np.arange(len(self.rows[ring]))
        return steps - np.repeat(ends - lengths, lengths), np.repeat(ends - 1, lengths) - steps


def deal(heads: np.ndarray, sizes: np.ndarray, ended: np.ndarray, rings: int, slots: int) -> Deal:
    """Deal rings with `heads` (N,) and `sizes` (N,) to M = `rings` of L = `slots`; of too many rows, the oldest are left out.

    `ended` (F,) says which rows are the last of their episode.
    """
    order, ages = _in_time(heads, sizes)
    last = ended[order] | (ages == 0)
    stops = np.flatnonzero(last) + 1
    starts = np.concatenate([[0], stops[:-1]]).astype(np.int64)
    by_time = np.argsort(-ages[stops - 1], kind="stable")
    excess = max(len(order) - rings * slots, 0)
    share = -(-(len(order) - excess) // rings)
    given: list[list[tuple[int, int]]] = [[] for _ in range(rings)]
    least = [(0, ring) for ring in range(rings)]
    for start, stop in zip(starts[by_time].tolist(), stops[by_time].tolist(), strict=True):
        left_out = min(excess, stop - start)
        excess -= left_out
        _give(start + left_out, stop, share, least, given)
    rows = [np.concatenate([order[:0], *(order[a:b] for a, b in pieces)]) for pieces in given]
    return Deal(rows, [np.array([b - a for a, b in pieces], np.int64) for pieces in given])


def _in_time(heads, sizes) -> tuple[np.ndarray, np.ndarray]:
    """The filled rows, ring by ring, each ring's oldest first; and their ages: 0 is a ring's newest."""
    order, ages, first = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for head, size in zip(heads.tolist(), sizes.tolist(), strict=True):
        steps = np.arange(size)
        order.append(first + (head + steps) % max(size, 1))  # a ring that is not full starts at slot 0: its head is its size
        ages.append(size - 1 - steps)
        first += size
    return np.concatenate(order), np.concatenate(ages)


def _give(start: int, stop: int, share: int, least: list[tuple[int, int]], given: list[list[tuple[int, int]]]) -> None:
    """Give a piece to the ring that holds least; what is beyond its share, to the next. `least` is a heap of those with room."""
    while start < stop:
        filled, ring = heapq.heappop(least)
        taken = min(share - filled, stop - start)
        given[ring].append((start, start + taken))
        start += taken
        if filled + taken < share:
            heapq.heappush(least, (filled + taken, ring))
