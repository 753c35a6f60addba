"""A table of values as a module: a number for each state and action, found by the state's number.

    y = Q[n(x)]                     x is laid out as choices: for each of them zeros, and a 1
    n(x) = Σ_k place_k · choice_k   the numbers of several choices are digits of one
    dQ[n] += dy                     each y reads its own row; x is discrete, so that dx = 0

It is the linear approximator whose features are the unit vectors: no state learns from another.

Shapes: B rows, O values of an observation, S states, A actions.
"""

import math

import numpy as np

from deepnp.checks import check_shape
from deepnp.module import Module
from deepnp.parameters import Parameter
from rl.experience import trees
from rl.experience.spaces import ObservationLayout
from rl.experience.trees import Observations

LARGEST_TABLE = 50_000_000  # numbers


class Table(Module):
    """Q(s, a), float64.

    Parameters
    ----------
    observation : ObservationLayout
        Of choices alone.
    actions : int
        A.
    initial : float
        Every value at the start.

    Attributes
    ----------
    values : Parameter (S, A)
    sizes : tuple of int
        How many choices each digit of a state's number has; S is their product.
    weights : array (O,)
        What each value of x adds to the state's number.

    Raises
    ------
    ValueError
        For a table that is too large.
    """

    def __init__(self, observation: ObservationLayout, actions: int, initial: float = 0.0):
        self.sizes = tuple(n for leaf in observation.leaves for n in leaf.choices)
        states = math.prod(self.sizes)
        if states * actions > LARGEST_TABLE:
            raise ValueError(f"expected a table of at most {LARGEST_TABLE:,} values, given {states:,} states, {actions} actions")
        places = [math.prod(self.sizes[k + 1 :]) for k in range(len(self.sizes))]
        digits = [place * np.arange(n, dtype=np.float64) for place, n in zip(places, self.sizes, strict=True)]
        self.weights = np.concatenate(digits)
        self.values = Parameter(np.full((states, actions), float(initial)))
        self._cache = None

    def states(self, x: Observations) -> np.ndarray:
        """The states' numbers (B,) int64 of observations (B, O)."""
        rows = trees.vector(x)
        check_shape("observations", rows, (len(rows), len(self.weights)))
        return (rows @ self.weights).astype(np.int64)

    def forward(self, x) -> np.ndarray:
        self._cache = self.states(x)
        return self.values.data[self._cache]

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        check_shape("dy", dy, (len(self.cache), self.values.shape[1]))
        if params:
            np.add.at(self.values.grad, self.cache, dy)
        return np.zeros((len(dy), len(self.weights)), dy.dtype) if inputs else None

    def predict(self, x) -> np.ndarray:
        return self.values.data[self.states(x)]

    def _tangent(self, v, vx):
        return v[self.values][self.cache]

    def __repr__(self) -> str:
        return f"Table{self.values.shape}"
