"""Conjugate gradients (Hestenes & Stiefel 1952): A x = b from products A p alone, for a symmetric, positive definite A.

    x ← 0    r ← b    p ← r
    repeat   α ← rᵀr/pᵀAp        the minimum of ½xᵀAx − bᵀx along p
             x ← x + αp
             r ← r − αAp         the residual b − Ax, by recursion: no product more
             β ← rᵀr/(the old rᵀr)
             p ← r + βp          conjugate to all directions before: pᵀAp′ = 0

After k steps x is the minimum over the span of b, Ab, …, A^{k−1}b. In exact arithmetic it is the solution after as many steps
as A has different eigenvalues.

Shapes: P unknowns.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rl.losses.checks import check_finite


class Solution(NamedTuple):
    """What was found.

    Attributes
    ----------
    x : array (P,)
    residual : array (P,)
        b − Ax, by the recursion. So xᵀAx = xᵀ(b − residual).
    steps : int
        Products that were taken.
    """

    x: np.ndarray
    residual: np.ndarray
    steps: int


def conjugate_gradient(
    product: Callable[[np.ndarray], np.ndarray], b: np.ndarray, steps: int, tolerance: float = 1e-10
) -> Solution:
    """x with A x ≈ b.

    Parameters
    ----------
    product : callable
        p (P,) -> A p (P,).
    b : array (P,)
    steps : int
        Products at most.
    tolerance : float
        The solution is good enough where ‖b − Ax‖² <= tolerance·‖b‖².

    Returns
    -------
    Solution
        Zero where b is. Where a direction has pᵀAp <= 0, as a singular A has it, it ends before that direction.

    Raises
    ------
    ValueError
        For a b that is no vector, steps < 1 or a negative tolerance.
    NonFiniteError
        If b or a product holds NaN or infinity.
    """
    if np.ndim(b) != 1 or steps < 1 or not tolerance >= 0:
        raise ValueError(f"expected b (P,), steps >= 1 and tolerance >= 0, given {np.shape(b)}, {steps} and {tolerance}")
    x, r, p = np.zeros_like(b), b.copy(), b.copy()
    square = start = float(r @ r)
    check_finite("right side of A x = b", square)
    for taken in range(steps):
        if square <= tolerance * start:
            return Solution(x, r, taken)
        along = product(p)
        curvature = float(p @ along)
        check_finite("curvature pᵀAp", curvature)
        if curvature <= 0:
            return Solution(x, r, taken + 1)
        x, r = x + (square / curvature) * p, r - (square / curvature) * along
        before, square = square, float(r @ r)
        p = r + (square / before) * p
    return Solution(x, r, steps)
