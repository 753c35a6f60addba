"""The n-step return of a transition, followed by hand through an environment's log."""

import numpy as np


def n_step(log: list, start: int, gamma: float, n: int) -> tuple[float, float, np.ndarray]:
    """Of the transition log[start]: Σ_{k<h} γᵏ r_k, the discount of what follows, and the observation that follows.

    h = n, or less where the episode or the log ends. The discount is γ^h, and 0 after a termination.
    """
    total = 0.0
    for h, step in enumerate(log[start : start + n], 1):
        total += gamma ** (h - 1) * step.reward
        last, discount = step, gamma**h
        if step.terminated or step.truncated:
            break
    return total, 0.0 if last.terminated else discount, last.following
