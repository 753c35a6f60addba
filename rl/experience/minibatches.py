"""A batch in shuffled minibatches."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from rl.experience import trees
from rl.experience.trees import Observations

Minibatch = tuple[Observations, ...]


class Shuffle(NamedTuple):
    """The rows of a batch in another order, in M parts.

    Attributes
    ----------
    order : int array (B,)
        Row numbers.
    bounds : int array (M + 1,)
        Where in the order each part begins, and the last one ends.
    """

    order: np.ndarray
    bounds: np.ndarray

    @property
    def parts(self) -> int:
        """M."""
        return len(self.bounds) - 1

    @property
    def rows(self) -> list[np.ndarray]:
        """The rows of each part."""
        return np.split(self.order, self.bounds[1:-1])

    @property
    def last(self) -> np.ndarray:
        """The rows of the last part."""
        return self.order[self.bounds[-2] :]

    def last_of(self, column: Any) -> Any:
        """The last part's rows of a column."""
        return trees.take(column, self.last)

    def minibatches(self, columns: tuple[Observations, ...]) -> list[Minibatch]:
        """The columns' rows of each part.

        Shuffled as a whole: one long copy is faster than many short ones.
        """
        shuffled = [trees.take(column, self.order) for column in columns]
        return [tuple(trees.at(x, slice(*ends)) for x in shuffled) for ends in pairwise(self.bounds.tolist())]


def shuffle(rows: int, batch_size: int, rng: np.random.Generator) -> Shuffle:
    """A random order of the rows, in parts of about `batch_size`, whose sizes differ by one at most."""
    parts = max(1, round(rows / batch_size))
    return Shuffle(rng.permutation(rows), np.arange(parts + 1) * rows // parts)


def minibatches(columns: tuple[Observations, ...], batch_size: int, rng: np.random.Generator) -> tuple[np.ndarray, list[Minibatch]]:
    """A shuffled order of the rows (B,), and the columns in that order, in parts of about `batch_size` rows."""
    shuffled = shuffle(trees.length(columns[0]), batch_size, rng)
    return shuffled.order, shuffled.minibatches(columns)
