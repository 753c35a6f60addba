"""Where the rows of a replay memory lie in their episodes, so that a row can look back and ahead without crossing a reset.

Steps are named by their age in their ring: 0 is the newest. A row of age a that was step p of its
episode, with r more steps after it, belongs to the ages a − r … a + p, as far as the ring still
holds them. An episode that goes on has no r yet: it reaches to age 0.

Shapes: N copies, L slots each, B rows of a batch.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np


class Episodes:
    """Each row's place in its episode."""

    BYTES_PER_ROW = 8
    COLUMNS: ClassVar = {"position": np.int32, "remaining": np.int32}
    NUMBERS: ClassVar = {"lengths": (("N",), np.int64)}

    def prepare(self, copies: int, slots: int) -> None:
        """Take the memory for N rings of L slots."""
        self.slots = slots
        self.position = np.zeros(copies * slots, np.int32)  # p
        self.remaining = np.full(copies * slots, -1, np.int32)  # r; −1 while the episode goes on
        self.lengths = np.zeros(copies, np.int64)  # steps of the episode that each copy is in

    def add(self, rows: np.ndarray, ended: np.ndarray) -> None:
        """Rows (n,) that were just written, one of a copy.

        `ended` (n,) says which are the last of their episode.
        """
        copies = rows // self.slots
        self.position[rows], self.remaining[rows] = self.lengths[copies], -1
        self.lengths[copies] += 1
        self.close(rows[ended])

    def close(self, newest: np.ndarray) -> None:
        """The episodes of these rows end with them; each is the newest of its copy."""
        for copy, slot in zip(*np.divmod(newest, self.slots), strict=True):
            ages = np.arange(min(self.lengths[copy], self.slots))
            self.remaining[copy * self.slots + (slot - ages) % self.slots] = ages
            self.lengths[copy] = 0

    def steps(self, rows: np.ndarray, heads: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ages of the episode's last step, of the row itself, and of the episode's first step that is still there: (B,) each.

        `heads` (N,) are the rings' next slots, `sizes` (N,) how much of them is filled.
        """
        copies, slots = np.divmod(rows, self.slots)
        age = (heads[copies] - 1 - slots) % self.slots
        remaining = self.remaining[rows]
        last = np.where(remaining < 0, 0, age - remaining)
        return last, age, np.minimum(age + self.position[rows], sizes[copies] - 1)

    def at(self, rows: np.ndarray, ages: np.ndarray, heads: np.ndarray) -> np.ndarray:
        """The rows (B,) of some ages (B,), in the rings of `rows` (B,)."""
        copies = rows // self.slots
        return copies * self.slots + (heads[copies] - 1 - ages) % self.slots

    def columns(self) -> dict[str, np.ndarray]:
        """What is kept of each row (N·L,)."""
        return {"position": self.position, "remaining": self.remaining}

    def numbers(self) -> dict[str, np.ndarray]:
        """What is kept of each copy (N,)."""
        return {"lengths": self.lengths}

    def restored(self, numbers: Mapping[str, np.ndarray]) -> None:
        """Columns were written; these are their `numbers()`. ValueError for what no place in an episode can be."""
        if self.position.min() < 0 or self.remaining.min() < -1 or numbers["lengths"].min() < 0:
            raise ValueError("expected places in episodes >= 0, given one below")
        self.lengths[:] = numbers["lengths"]
