"""A batch in shuffled minibatches."""

from itertools import pairwise

import numpy as np

from rl.experience import trees
from rl.experience.trees import Observations

Minibatch = tuple[Observations, ...]


def minibatches(columns: tuple[Observations, ...], batch_size: int, rng: np.random.Generator) -> tuple[np.ndarray, list[Minibatch]]:
    """A shuffled order of the rows (B,), and the columns in that order, in parts of about `batch_size` rows.

    The parts' sizes differ by one at most. Shuffled as a whole: one long copy is faster than many
    short ones.
    """
    order = rng.permutation(trees.length(columns[0]))
    shuffled = [trees.take(column, order) for column in columns]
    bounds = np.linspace(0, len(order), max(1, round(len(order) / batch_size)) + 1).astype(int).tolist()
    return order, [tuple(trees.at(x, slice(*ends)) for x in shuffled) for ends in pairwise(bounds)]
