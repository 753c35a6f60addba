"""The smallest value of a smooth function, by L-BFGS (Nocedal 1980): its curvature from its last few gradients.

    repeat
        d ← −Hg                          H ≈ the inverse Hessian, from the last m pairs s = Δx, y = Δg:  Hy = s
        α with f(x + αd) ≤ f(x) + c_1 α gᵀd  and  ∇f(x + αd)ᵀd ≥ c_2 gᵀd      the weak Wolfe conditions
        x ← x + αd

α is found by bisection, which needs no more than the two conditions (Lewis & Overton 2013). Where f is not defined it counts as
infinite, so a domain such as x_0 > 0 is kept.

The product Hg takes two passes over the pairs, the newest first and then the oldest first (Nocedal & Wright, Algorithm 7.4).

Shapes: P unknowns.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rl.losses.checks import check_finite

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
DECREASE, CURVATURE = 1e-4, 0.9  # c_1, c_2
BISECTIONS = 50


class Minimum(NamedTuple):
    """What was found.

    Attributes
    ----------
    x : array (P,)
    value : float
    steps : int
        That were taken.
    """

    x: np.ndarray
    value: float
    steps: int


def minimize(function: Function, start: np.ndarray, steps: int = 200, tolerance: float = 1e-8, pairs: int = 10) -> Minimum:
    """Descend from `start` (P,) until no gradient is left.

    Parameters
    ----------
    function : callable
        x (P,) -> f(x), ∇f(x) (P,); an infinite value outside its domain, with any gradient.
    start : array (P,)
    steps : int
        At most.
    tolerance : float
        The largest part of a gradient that counts as none.
    pairs : int
        m.

    Raises
    ------
    ValueError
        For a start that is no vector, steps < 1, a negative tolerance or pairs < 1.
    NonFiniteError
        If the value at `start` is not finite.
    """
    if np.ndim(start) != 1 or min(steps, pairs) < 1 or not tolerance >= 0:
        given = f"{np.shape(start)}, {steps}, {tolerance} and {pairs}"
        raise ValueError(f"expected start (P,), steps >= 1, tolerance >= 0 and pairs >= 1, given {given}")
    x = np.array(start, np.float64)
    value, gradient = function(x)
    check_finite("value to be minimised", value)
    history: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=pairs)
    for taken in range(steps):
        if np.abs(gradient).max(initial=0) <= tolerance:
            return Minimum(x, value, taken)
        found = _search(function, x, value, gradient, _direction(gradient, history))
        if found is None:
            return Minimum(x, value, taken)
        step, value, after = found
        if step @ (after - gradient) > 0:
            history.append((step, after - gradient))
        x, gradient = x + step, after
    return Minimum(x, value, steps)


def _direction(gradient, history):
    """−Hg, where the oldest guess of H is the newest pair's sᵀy/yᵀy."""
    q, shares = -gradient, []
    for s, y in reversed(history):
        shares.append((s @ q) / (s @ y))
        q = q - shares[-1] * y
    if history:
        s, y = history[-1]
        q = q * ((s @ y) / (y @ y))
    else:
        q = q / max(1.0, float(np.abs(q).max()))  # nothing is known of the scale: no number moves by more than 1
    for (s, y), share in zip(history, reversed(shares), strict=True):
        q = q + (share - (y @ q) / (s @ y)) * s
    return q


def _search(function, x, value, gradient, direction):
    """Step, value and gradient where both conditions hold; None where no step of any length decreases the value."""
    slope, low, high, alpha, best = float(gradient @ direction), 0.0, np.inf, 1.0, None
    for _ in range(BISECTIONS):
        new, after = function(x + alpha * direction)
        if not new <= value + DECREASE * alpha * slope:
            high = alpha
        else:
            best = alpha * direction, new, after
            if after @ direction >= CURVATURE * slope:
                return best
            low = alpha
        alpha = 0.5 * (low + high) if high < np.inf else 2 * alpha
    return best
