"""Where in its episode each step of a rollout stands, although the episode may have begun in an earlier rollout.

    k_t = 0 at an episode's first step,  k_{t+1} = k_t + 1
    P_t = Σ_{j<k_t} γ^j r_j               what the episode has paid before step t, discounted from its beginning

Shapes: T steps, N environments.
"""

import numpy as np

from rl.experience.rollout import Rollout


class EpisodeClock:
    """k and P of every environment's next step, carried from rollout to rollout."""

    def __init__(self):
        self.ages, self.paid = np.zeros(0, np.int64), np.zeros(0)

    def begin(self, num_envs: int) -> None:
        """New episodes begin in all environments."""
        self.ages, self.paid = np.zeros(num_envs, np.int64), np.zeros(num_envs)

    def read(self, rollout: Rollout, gamma: float) -> tuple[np.ndarray, np.ndarray]:
        """k (T, N) int64 and P (T, N) of a rollout that follows the last one read."""
        ages, paid, ended = np.empty(rollout.rewards.shape, np.int64), np.empty(rollout.rewards.shape), rollout.ended
        for t, rewards in enumerate(rollout.rewards):
            ages[t], paid[t] = self.ages, self.paid
            self.paid = np.where(ended[t], 0, self.paid + gamma**self.ages * rewards)
            self.ages = np.where(ended[t], 0, self.ages + 1)  # a step that never happened counts as an end: see Rollout
        return ages, paid

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"ages": self.ages, "paid": self.paid}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a `state_dict()`; ValueError if it is none of a clock."""
        ages, paid = np.asarray(state["ages"]), np.asarray(state["paid"])
        if ages.ndim != 1 or ages.dtype.kind != "i" or paid.shape != ages.shape or ages.min(initial=0) < 0:
            given = f"given {ages.dtype} {ages.shape} and {paid.shape}"
            raise ValueError(f"expected ages as integers (N,) >= 0 and what was paid (N,), {given}")
        self.ages, self.paid = ages.astype(np.int64), paid.astype(np.float64)
