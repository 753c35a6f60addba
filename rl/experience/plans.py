"""What a planner means to do in the episodes under way: where its next search begins.

Shapes: N environments, H steps ahead, A action dimensions.
"""

import numpy as np


class Plans:
    """The last plan of each environment, shifted by the step that was taken: a part of an agent.

    Parameters
    ----------
    horizon, actions : int
        H and A.
    """

    def __init__(self, horizon: int, actions: int):
        self._shape = horizon, actions
        self.means = np.zeros((0, *self._shape), np.float32)

    def begin(self, num_envs: int) -> None:
        """New episodes begin in all environments."""
        self.means = np.zeros((num_envs, *self._shape), np.float32)

    def forget(self, ended: np.ndarray) -> None:
        """New episodes begin where `ended` (N,)."""
        self.means[ended] = 0

    def take(self, n: int, plan: np.ndarray) -> np.ndarray:
        """Keep what comes after the first step of a plan (H, A) of environment n; returns that first step (A,)."""
        self.means[n] = rest_of(plan)
        return plan[0]

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"means": self.means}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        means = state["means"]
        if means.shape[1:] != self._shape or (np.abs(means) > 1).any():
            raise ValueError(f"expected plans (N, {self._shape[0]}, {self._shape[1]}) within [-1, 1], given shape {means.shape}")
        self.means = np.array(means, np.float32)


def rest_of(plans: np.ndarray) -> np.ndarray:
    """Plans (…, H, A) without their first step, and with zeros for the one that is new: where their next searches begin."""
    rest = np.roll(plans, -1, axis=-2)
    rest[..., -1, :] = 0
    return rest
