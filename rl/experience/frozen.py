"""A replay memory as it is at one moment, to be written by another thread while training fills it further.

The large columns are not copied. A ring is overwritten from its oldest row on, so the rows that
training reaches next are copied when the memory is frozen, 64 MB of them at most; the others are
read where they are:

    slots    0 …………… head ………………………… L
             as they are │ copied │ as they are          in a full ring, the head is the oldest row

Who writes where
    Only `ReplayMemory.add` writes to the columns that are read in place, and only to the row at a
    ring's head. As long as no ring has been given more rows than were free or copied, it writes to
    rows that nobody reads: reader and trainer need no lock, and the reader may let go of the
    interpreter's. `add` counts its calls. When the count is used up, it waits for a reader that is
    at work, and 10 s for one that has not begun. After that the frozen memory is lost: reading it
    is refused. Everything that changes in other ways (truncated, priorities, places in episodes) is
    copied. A memory that is loaded, or dealt to other rings, gets new arrays: the old ones stay
    with whoever reads them.
"""

import math
import threading
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from deepnp.storage import Pieces

COPIED = 2**26  # bytes, of rows that training reaches next
PATIENCE = 10.0  # seconds, for a reader to begin
Interval = tuple[int, int, bool]  # of rows: start, stop, and whether they are copied
Array = np.ndarray | Pieces


class Rings(Protocol):
    """What is frozen: a `ReplayMemory`."""

    copies: int
    slots: int
    heads: np.ndarray
    sizes: np.ndarray

    def columns(self) -> dict[str, np.ndarray]: ...

    def stable(self) -> frozenset[str]: ...

    def numbers(self) -> dict[str, np.ndarray]: ...


class FrozenMemory:
    """The state of a memory at the moment when this was made.

    Read it inside a `with` block, in any thread, any number of times:

        with frozen as state:
            save_tensors(path, state)

    Parameters
    ----------
    memory : ReplayMemory

    Raises
    ------
    RuntimeError
        At the block's beginning, where training has gone on too far meanwhile.
    """

    def __init__(self, memory: Rings):
        columns, stable = memory.columns(), memory.stable()
        row = sum(math.prod(columns[name].shape[1:]) * columns[name].itemsize for name in stable)
        ahead = max(COPIED // max(memory.copies * row, 1), 1)
        copied = np.minimum(memory.sizes, np.maximum(ahead - (memory.slots - memory.sizes), 0))
        whole = intervals(memory.heads, memory.sizes, memory.slots)
        parts = intervals(memory.heads, memory.sizes, memory.slots, copied)
        self._state: dict[str, Array] = {
            name: rows_of(column, parts) if name in stable else np.array(rows_of(column, whole)) for name, column in columns.items()
        }
        self._state |= {name: np.array(array) for name, array in memory.numbers().items()}
        safe = memory.slots - memory.sizes + copied
        bounded = safe[copied < memory.sizes]  # of the other rings, all rows are copied
        self._left: int | None = int(bounded.min()) if len(bounded) else None
        self._readers, self._read, self._lost = 0, False, False
        self._changed = threading.Condition()

    def make_way(self) -> bool:
        """Called before each `add`; False once nobody reads this any more."""
        if self._left is None:
            return True
        self._left -= 1
        if self._left >= 0:
            return True
        with self._changed:
            self._changed.wait_for(lambda: self._read, PATIENCE)
            self._changed.wait_for(lambda: not self._readers)
            self._lost = True
        return False

    def __enter__(self) -> Mapping[str, Array]:
        with self._changed:
            if self._lost:
                raise RuntimeError(
                    "expected a frozen memory to be read before training overwrites it: read it at once, in a thread"
                )
            self._readers, self._read = self._readers + 1, True
            self._changed.notify_all()
        return self._state

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._readers -= 1
            self._changed.notify_all()


def intervals(heads: np.ndarray, sizes: np.ndarray, slots: int, copied: np.ndarray | None = None) -> list[Interval]:
    """The filled rows of all rings, in their order, as few intervals as possible; `copied` (N,) of each, the oldest, apart."""
    found: list[Interval] = [(0, 0, False)]
    numbers = zip(heads.tolist(), sizes.tolist(), (np.zeros_like(sizes) if copied is None else copied).tolist(), strict=True)
    for n, (head, size, count) in enumerate(numbers):
        oldest = head if size == slots else 0
        wrapped, end = max(oldest + count - slots, 0), min(oldest + count, size)
        for start, stop, copy in ((0, wrapped, True), (wrapped, oldest, False), (oldest, end, True), (end, size, False)):
            if start < stop:
                _append(found, (n * slots + start, n * slots + stop, copy))
    return found


def _append(found: list[Interval], new: Interval) -> None:
    start, stop, copied = found[-1]
    if start == stop or (stop == new[0] and copied == new[2]):
        found[-1] = (new[0] if start == stop else start, new[1], new[2])
    else:
        found.append(new)


def rows_of(column: np.ndarray, parts: list[Interval]) -> Array:
    """These rows of a column, as they are or copied: an array where they lie together."""
    pieces = [column[start:stop].copy() if copied else column[start:stop] for start, stop, copied in parts]
    return pieces[0] if len(pieces) == 1 else Pieces(pieces)
