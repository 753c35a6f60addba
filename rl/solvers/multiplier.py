"""Dual ascent: the price of breaking a constraint g(x) <= ε.

    maximise f(x) − λ(g(x) − ε) over x, roughly        then  λ ← max(0, λ + α(g(x) − ε))

The price rises while the constraint is broken, falls while there is room, and is 0 where it does not bind.
"""

import math

import numpy as np


class Multiplier:
    """λ, a part that is saved.

    Parameters
    ----------
    value : float
        λ at the start.
    """

    def __init__(self, value: float):
        self.value = float(value)

    def ascend(self, excess: float, rate: float) -> None:
        """λ ← max(0, λ + α(g − ε)): excess = g − ε, rate = α."""
        self.value = max(0.0, self.value + rate * excess)

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"value": np.array(self.value)}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        value = float(state["value"])
        if not 0 <= value < math.inf:
            raise ValueError(f"expected a multiplier in [0, ∞), given {value}")
        self.value = value
