"""The CMA-ES of the package cma, as a part of an agent: it can be saved, and goes on exactly.

The package's optimizer holds dozens of numbers, and it is saved by pickle, which we do not use. But
all of it follows from where it began, its random numbers and the values that it was told. So these
are saved, and the optimizer is told the same values again when it is needed next.

Shapes: D parameters, P candidates, G generations.
"""

import importlib
import warnings
from types import ModuleType
from typing import Any

import numpy as np

from deepnp.checks import check_shape

AGREEMENT = 1e-6  # of the mean, in units of σ: it is further off where another version of the package computes it


class Evolution:
    """N(m, σ²C), adapted by CMA-ES (Hansen 2016).

    Parameters
    ----------
    start : array (D,)
        m at first; copied.
    sigma : float
        σ at first, with C = I.
    population : int
        P.
    diagonal : bool
        Adapt the diagonal of C alone: sep-CMA-ES (Ros & Hansen 2008), O(PD) a generation in the
        place of O(PD² + D³).
    seed : int
        Of the random numbers.

    Attributes
    ----------
    mean : array (D,)
    sigma : float
    generations : int
        G, since the start.

    Raises
    ------
    ImportError
        If the package is not installed.
    """

    def __init__(self, start: np.ndarray, sigma: float, population: int, diagonal: bool, seed: int):
        package()
        self.population, self.diagonal = population, diagonal
        self._begin(start, sigma, seed)

    def _begin(self, start, sigma, seed):
        self._start, self._start_sigma, self._seed = start.astype(np.float64), float(sigma), int(seed)
        self._values = np.zeros((0, self.population))
        self.mean, self.sigma = self._start.copy(), self._start_sigma
        self._optimizer: Any = None
        self._asked: list[np.ndarray] = []

    @property
    def generations(self) -> int:
        return len(self._values)

    def ask(self) -> np.ndarray:
        """The next candidates (P, D); the same ones until their values are told."""
        if self._optimizer is None:
            self._optimizer = self._replayed()
        if not self._asked:
            self._asked = self._optimizer.ask()
        return np.array(self._asked)

    def tell(self, values: np.ndarray) -> None:
        """The values (P,) of the candidates that `ask` gives, of which the smallest are the best."""
        self.ask()
        self._optimizer.tell(self._asked, values.tolist())
        self._asked, self._values = [], np.concatenate([self._values, values[None]])
        self.mean, self.sigma = self._optimizer.mean.copy(), float(self._optimizer.sigma)

    def _replayed(self):
        """The optimizer as it is after all that it was told; where that is not what it was, a new one that starts at its mean."""
        optimizer = self._new()
        for values in self._values:
            optimizer.tell(optimizer.ask(), values.tolist())
        if np.abs(optimizer.mean - self.mean).max() <= AGREEMENT * self.sigma:
            return optimizer
        given = f"cma {package().__version__} finds another mean from the values that it was told"
        warnings.warn(f"the search begins anew at the mean and σ that were saved: {given}", stacklevel=4)
        self._begin(self.mean, self.sigma, self._seed + 1)
        return self._new()

    def _new(self):
        def standard_normal(*shape):
            """Of each generation its own random numbers, whoever draws them."""
            return np.random.default_rng((self._seed, optimizer.countiter)).standard_normal(shape)

        settings = {"popsize": self.population, "CMA_diagonal": self.diagonal, "randn": standard_normal, "seed": np.nan}
        optimizer = package().CMAEvolutionStrategy(self._start, self._start_sigma, {**settings, "verbose": -9})
        return optimizer

    def state_dict(self) -> dict[str, np.ndarray]:
        """Where it began, and what it was told."""
        began = {"start": self._start, "start_sigma": np.array(self._start_sigma), "seed": np.array(self._seed)}
        now = {"mean": self.mean, "sigma": np.array(self.sigma), "generations": np.array(self.generations)}
        return {**began, "values": self._values, **now}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a `state_dict()`.

        Raises
        ------
        ValueError
            If a shape does not fit or a σ is not positive; then nothing is changed.
        """
        shapes = {
            "start": self._start.shape,
            "mean": self._start.shape,
            "start_sigma": (),
            "sigma": (),
            "seed": (),
            "generations": (),
        }
        for name, shape in shapes.items():
            check_shape(name, state[name], shape)
        check_shape("values", state["values"], (int(state["generations"]), self.population))
        if not min(state["start_sigma"], state["sigma"]) > 0 or state["seed"] < 0:
            raise ValueError(f"expected σ > 0 and a seed >= 0, given {state['sigma']} and {state['seed']}")
        self._begin(state["start"], state["start_sigma"], state["seed"])
        self._values = np.array(state["values"], np.float64)
        self.mean, self.sigma = np.array(state["mean"], np.float64), float(state["sigma"])


def package() -> ModuleType:
    """The package cma; ImportError, which says how to get it, where it is not installed."""
    try:
        return importlib.import_module("cma")
    except ImportError as error:
        raise ImportError('CMAES needs the package cma: pip install "deepnp-rl[cma]"') from error
