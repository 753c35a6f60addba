"""A CMA-ES of the package cma, as a part of an agent: it can be saved, and goes on exactly.

The package's optimizer holds dozens of numbers, and pickle is its own way to keep them. But all of
it follows from where it began, its random numbers and the values that it was told. So these are
saved. When it is needed again, it is told the same values again.

Shapes: D parameters, P candidates, G generations.
"""

import importlib
import warnings
from types import ModuleType
from typing import Any

import numpy as np

from deepnp.checks import check_shape

AGREEMENT = 1e-6  # of the mean, relative to σ: more where another version of the package computes it


class Evolution:
    """N(m, σ²C), adapted by CMA-ES (Hansen 2016).

    Parameters
    ----------
    start : array (D,)
        m at first.
    sigma : float
        σ at first, with C = I.
    population : int
        P.
    diagonal : bool
        Adapt the diagonal of C alone (sep-CMA-ES, Ros & Hansen 2008): O(D) in the place of O(D²)
        to O(D³) for each generation.
    seed : int
        Of the random numbers.

    Attributes
    ----------
    mean : array (D,)
    sigma : float

    Raises
    ------
    ImportError
        If the package is not installed.
    """

    def __init__(self, start: np.ndarray, sigma: float, population: int, diagonal: bool, seed: int):
        package()
        self.population, self.diagonal = population, diagonal
        self._begin(start.astype(np.float64), sigma, seed)

    def ask(self) -> np.ndarray:
        """The next candidates (P, D)."""
        self._asked = np.array(self._optimizer.ask())
        return self._asked

    def tell(self, values: np.ndarray) -> None:
        """Values (P,) of the candidates that were asked for, of which the smallest are the best."""
        optimizer = self._optimizer
        optimizer.tell(list(self._asked), values.tolist())
        self._values.append(values.astype(np.float64))
        self.mean, self.sigma = optimizer.mean.copy(), float(optimizer.sigma)
