"""What every optimizer is: a formula over the flat vector of parameters.

At step t, with gradient g and decay λ on the weights (parameters of two axes or more: a bias, a scale, a shift are left alone):

    coupled      g ← g + λθ, and then the formula              L2 regularisation: momentum and scaling act on the decay too
    decoupled    θ ← θ − αλθ beside the formula's own step     Loshchilov & Hutter 2019: the decay is the same for every weight

A formula is written twice: plainly, for reading, and as one pass of a Numba kernel. For a GPU, CuPy fuses the plain form.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, kernel_runs
from deepnp.checks import check_named
from deepnp.parameters import ParameterVector, converted


class Formula(NamedTuple):
    """One update, in place: functions of (θ, g, *state, *constants, l2, decay), with l2 = λ or decay = αλ, the other 0."""

    plain: Callable  # element-wise throughout, in NumPy's functions and operators: `gpu.fused` reads it
    kernel: Callable

    def __call__(self, vectors: Sequence, constants: tuple[float, ...]) -> None:
        first, constants = vectors[0], [float(c) for c in constants]  # NumPy's float64 would decide the plain form's precision
        for x in vectors:
            if x.shape != first.shape:
                raise ValueError(f"expected vectors of shape {first.shape}, as the parameters', given {x.shape}")
        if kernel_runs(*vectors):
            self.kernel(*vectors, *first.dtype.type(constants))
        elif gpu.elementwise_runs(*vectors):
            gpu.fused(self.plain)(*vectors, *first.dtype.type(constants))  # CuPy adds two Python floats in half precision
        else:
            self.plain(*vectors, *constants)


class Optimizer(ABC):
    """Base of all optimizers. A subclass names its state and its formula, and computes the formula's constants.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    weight_decay : float
        λ, on weights only.
    decoupled : bool
        Which decay.
    formula : Formula
        The update.
    state : tuple of str
        Names of the vectors that the formula keeps from step to step; they start at 0.

    Attributes
    ----------
    state : dict of str to array (P,)
    t : int
        Steps taken.
    """

    def __init__(
        self, vector: ParameterVector, lr: float, weight_decay: float, decoupled: bool, formula: Formula, state: tuple[str, ...]
    ):
        check_vector(vector)
        check_amounts(lr=lr, weight_decay=weight_decay)
        self.vector = vector
        self.lr, self.weight_decay, self.decoupled = lr, weight_decay, decoupled
        self.formula = formula
        self.state = {name: array_module(vector.data).zeros_like(vector.data) for name in state}
        self.t = 0
        self._runs = list(runs(vector))

    @abstractmethod
    def constants(self) -> tuple[float, ...]:
        """What the formula needs to know at step t; asked for once a step."""

    def step(self) -> None:
        """One update from the gradient in `vector.grad`."""
        self._count()
        constants = self.constants()
        vectors = self.vector.data, self.vector.grad, *self.state.values()
        if not self.weight_decay:
            self.formula(vectors, (*constants, 0.0, 0.0))
            return
        for part, decays in self._runs:
            self.formula([x[part] for x in vectors], (*constants, *self._decay(decays)))

    def state_dict(self) -> dict[str, np.ndarray]:
        """The state's vectors and t; with `load_state_dict`, training goes on bit for bit. Copy what must not change."""
        return {**self.state, "t": np.array(self.t)}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a `state_dict()`.

        Raises
        ------
        KeyError
            If a part is missing.
        ValueError
            If a part is unknown, of another shape, or not finite. Nothing is restored then.
        TypeError
            If a part is no array, or of another kind of numbers.
        """
        check_named(state)
        own = self.state_dict()
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing:
            raise KeyError(f"state of {type(self).__name__} lacks {missing}")
        if unknown:
            raise ValueError(f"state does not fit {type(self).__name__}: unknown {unknown}")
        values = {name: converted(name, state[name], array) for name, array in own.items()}
        for name, array in self.state.items():
            array[...] = array_module(array).asarray(values[name])
        self.t = int(values["t"])

    def _count(self) -> None:
        if self.vector.stale:
            raise RuntimeError(
                "the parameters have moved to another vector since (a larger model, a device): make the optimizer anew"
            )
        self.t += 1

    def _decay(self, decays: bool) -> tuple[float, float]:
        strength = self.weight_decay if decays else 0.0
        return (0.0, self.lr * strength) if self.decoupled else (strength, 0.0)


def runs(vector: ParameterVector) -> Iterator[tuple[slice, bool | None]]:
    """The vector as alternating pieces: weights (True) and what is not (False)."""
    start = stop = 0
    before = None
    for p in vector.named.values():
        weight = len(p.shape) >= 2
        if weight != before and stop > start:
            yield slice(start, stop), before
            start = stop
        before, stop = weight, stop + math.prod(p.shape)
    yield slice(start, stop), bool(before)


def check_vector(vector) -> None:
    """Raise TypeError unless this is a model's flat vector."""
    if not isinstance(vector, ParameterVector):
        raise TypeError(f"expected a ParameterVector, as net.flat is, given {type(vector).__name__}")


def check_amounts(**amounts: float) -> None:
    """Raise ValueError unless every amount is a finite number >= 0."""
    for name, amount in amounts.items():
        if not (is_number(amount) and 0 <= amount < math.inf):
            raise ValueError(f"expected a finite {name} >= 0, given {amount!r}")


def is_number(x) -> bool:
    """Whether x is one number: Python's, NumPy's, or an array of no axis; a bool is none."""
    return np.ndim(x) == 0 and np.asarray(x).dtype.kind in "iuf"


def check_shares(name: str, *shares: float) -> None:
    """Raise ValueError unless every share is in [0, 1)."""
    if not all(is_number(share) and 0 <= share < 1 for share in shares):
        raise ValueError(f"expected {name} in [0, 1), given {shares if len(shares) > 1 else shares[0]}")
