"""Weights of a regression on actions: the better an action was, the more it counts.

    w = min(e^{A/β}, w_max)

π ∝ b e^{A/β} maximises E_π A − β KL(π‖b): the best policy near the one, b, that gathered the data.
A large β keeps to b, a small one to its best actions. The bound keeps one row from outweighing all.

Shapes: B rows.
"""

import math

import numpy as np


def advantage_weights(advantages: np.ndarray, beta: float, largest: float) -> np.ndarray:
    """w of advantages A (B,), for β > 0 and w_max > 0: (B,). No A overflows."""
    kind = advantages.dtype.type
    return np.exp(np.minimum(advantages / kind(beta), kind(math.log(largest))))


def standardized(advantages: np.ndarray) -> np.ndarray:
    """(A − mean A)/(σ_A + 10⁻⁸) of advantages (B,); 0 where all are equal."""
    return (advantages - advantages.mean()) / (advantages.std() + advantages.dtype.type(1e-8))
