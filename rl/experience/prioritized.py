"""Prioritised replay (Schaul et al. 2016; Algorithm 17 of the thesis, corrected): surprises come up more often.

    p_i  = |δ_i| + ε                  δ the critics' error when i was last learned from; the largest so far for a new one
    P(i) = p_i^α / Σ_j p_j^α          how often i is drawn
    w_i  = (N·P(i))^−β / max_j w_j    how much i counts, so that the mean stays (β = 1) what uniform rows would give

The maximum runs over the batch, so N and Σ_j p_j^α cancel: w_i = (min_j p_j^α / p_i^α)^β, at most
1.

Sums are kept in a tree: its leaves are the p_i^α, every other node is the sum of its two children.
Drawing follows a number u ∈ [0, Σ) down from the root; changing a leaf changes the nodes above it.
Both take log₂ N steps.

Shapes: R rows of the memory, B rows of a batch.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from deepnp.backend import kernel_runs, ordered_kernel


class SumTree:
    """R numbers ≥ 0 and their partial sums, in float64.

    Node 1 is the root, the children of node i are 2i and 2i + 1, leaf k is node R + k. That is a
    whole tree for every R, not only for powers of two. A node is always the rounded sum of its two
    children as they are: nothing drifts.

    Parameters
    ----------
    leaves : int
        R.
    """

    def __init__(self, leaves: int):
        self.leaves = leaves
        self.nodes = np.zeros(2 * leaves)

    @property
    def total(self) -> float:
        """Σ of all leaves."""
        return float(self.nodes[1])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The values of some leaves."""
        return self.nodes[self.leaves + rows]

    def __setitem__(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Change the leaves `rows` (B,) to `values` (B,).

        The last one counts where a row comes twice.
        """
        if kernel_runs(self.nodes, values):
            _set(self.nodes, rows, values)
            return
        above = self.leaves + rows
        self.nodes[above] = values
        while len(above):
            above = np.unique(above // 2)
            above = above[above > 0]
            self.nodes[above] = self.nodes[2 * above] + self.nodes[2 * above + 1]

    def fill(self, values: np.ndarray) -> None:
        """Change all leaves (R,)."""
        self.nodes[self.leaves :] = values
        self.sum_up()

    def sum_up(self) -> None:
        """Make every node the sum of its children; the leaves are as they are to be."""
        end = self.leaves
        while end > 1:  # the nodes whose children are done, from the leaves to the root
            start = (end + 1) // 2
            self.nodes[start:end] = self.nodes[2 * start : 2 * end : 2] + self.nodes[2 * start + 1 : 2 * end : 2]
            end = start

    def find(self, numbers: np.ndarray) -> np.ndarray:
        """For each u (B,) in [0, total), a leaf; over all u each has its value's share. A leaf that is 0 is never found."""
        if kernel_runs(self.nodes, numbers):
            return _find(self.nodes, numbers)
        u, node = numbers.copy(), np.ones(len(numbers), np.int64)
        while (inside := node < self.leaves).any():
            child = np.where(inside, 2 * node, 0)
            left, right = self.nodes[child], self.nodes[child + 1]
            goes_right = inside & (u >= left) & (right > 0)  # rounding may leave u a little too large
            u = np.where(goes_right, u - left, u)
            node = np.where(inside, child + goes_right, node)
        return node - self.leaves


class Priorities:
    """The priorities of a replay memory's rows.

    Parameters
    ----------
    exponent : float
        α in (0, 1]: 1 draws in proportion to the priorities, less is nearer to uniform.
    offset : float
        ε > 0: what is left to a row without error.
    """

    BYTES_PER_ROW = 16
    COLUMNS: ClassVar = {"powers": np.float64}
    NUMBERS: ClassVar = {"largest": ((), np.float64)}

    def __init__(self, exponent: float, offset: float):
        self.exponent, self.offset = exponent, offset
        self.largest = 1.0  # p, without the exponent

    def prepare(self, copies: int, slots: int) -> None:
        """Take the memory for R = copies × slots rows, none of which can be drawn yet."""
        self.tree = SumTree(copies * slots)

    def insert(self, rows: np.ndarray) -> None:
        """Rows that are new: they get the largest priority so far, so that each is soon learned from."""
        self.tree[rows] = np.full(len(rows), self.largest**self.exponent)

    def update(self, rows: np.ndarray, errors: np.ndarray) -> None:
        """Rows (B,) that have been learned from, with |δ| (B,)."""
        priorities = errors.astype(np.float64) + self.offset
        self.largest = max(self.largest, float(priorities.max()))
        self.tree[rows] = priorities**self.exponent

    def draw(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Rows (size,), each with probability P(i): one from each of `size` equal parts of the sum, for less variance."""
        return self.tree.find((np.arange(size) + rng.random(size)) * (self.tree.total / size))

    def weights(self, rows: np.ndarray, beta: float) -> np.ndarray:
        """The importance w (B,) of rows that were drawn, in (0, 1]."""
        powers = self.tree[rows]  # p^α
        return ((powers.min() / powers) ** beta).astype(np.float32)

    def columns(self) -> dict[str, np.ndarray]:
        """What is kept of each row (R,)."""
        return {"powers": self.tree.nodes[self.tree.leaves :]}

    def numbers(self) -> dict[str, np.ndarray]:
        """What is kept besides."""
        return {"largest": np.array(self.largest)}

    def restored(self, numbers: Mapping[str, np.ndarray]) -> None:
        """Columns were written; these are their `numbers()`. ValueError for what no priority can be."""
        if not (self.columns()["powers"].min() >= 0 and 0 < numbers["largest"] < np.inf):
            raise ValueError(f"expected finite priorities >= 0 and the largest above 0, given {numbers['largest']}")
        self.tree.sum_up()
        self.largest = float(numbers["largest"])


@ordered_kernel
def _set(nodes, rows, values):
    leaves = len(nodes) // 2
    for i in range(len(rows)):
        node = leaves + rows[i]
        nodes[node] = values[i]
        while node > 1:
            node >>= 1
            nodes[node] = nodes[2 * node] + nodes[2 * node + 1]


@ordered_kernel
def _find(nodes, numbers):
    leaves, rows = len(nodes) // 2, np.empty(len(numbers), np.int64)
    for i in range(len(numbers)):
        u, node = numbers[i], 1
        while node < leaves:
            node *= 2
            if u >= nodes[node] and nodes[node + 1] > 0:
                u -= nodes[node]
                node += 1
        rows[i] = node - leaves
    return rows
