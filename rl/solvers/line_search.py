"""Backtracking: how far to go along a direction that is known to be good near by."""

from collections.abc import Callable


def backtracking(accepts: Callable[[float], bool], shrink: float, tries: int) -> float | None:
    """The first of 1, ρ, ρ², …, ρ^{tries−1} that is accepted.

    Parameters
    ----------
    accepts : callable
        A share of the whole step -> whether to go so far.
    shrink : float
        ρ in (0, 1).
    tries : int

    Returns
    -------
    float or None
        The share; None where none was accepted.

    Raises
    ------
    ValueError
        For a ρ outside (0, 1), or tries < 1.
    """
    if not 0 < shrink < 1 or tries < 1:
        raise ValueError(f"expected shrink in (0, 1) and tries >= 1, given {shrink} and {tries}")
    return next((shrink**j for j in range(tries) if accepts(shrink**j)), None)
