"""The weight of PPO's KL penalty, adapted once an iteration (Schulman et al. 2017, Section 4)."""

import numpy as np

LOWEST, HIGHEST = 1e-4, 1e4  # ours: it can come back from either end within a few iterations


class AdaptiveCoefficient:
    """β, which rises where the policy moves too far in an iteration, and falls where it moves too little.

    Parameters
    ----------
    value : float
        β at the start.
    """

    def __init__(self, value: float):
        self.value = _held(value)

    def adapt(self, kl: float, target: float) -> None:
        """β ← β/2 where KL < d_targ/1.5, β ← 2β where KL > 1.5 d_targ; held in [1e-4, 1e4].

        Parameters
        ----------
        kl : float
            The mean of KL(π_old‖π) over the iteration's rows.
        target : float
            d_targ.
        """
        if kl < target / 1.5:
            self.value = _held(self.value / 2)
        elif kl > target * 1.5:
            self.value = _held(self.value * 2)

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"value": np.array(self.value)}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        value = float(state["value"])
        if not LOWEST <= value <= HIGHEST:
            raise ValueError(f"expected a coefficient of KL in [{LOWEST}, {HIGHEST}], given {value}")
        self.value = value


def _held(value):
    return min(max(value, LOWEST), HIGHEST)
