"""Exploration: noise on the actions of deterministic policies, and random actions.

Actions of a Box live in [−1, 1], so σ is a share of half their range.

Shapes: N environments, A action dimensions.
"""

import numpy as np

from rl.experience.actions import ActionLayout


def gaussian(actions: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Actions (N, A) with N(0, σ²) added, clipped to [−1, 1]."""
    noise = np.float32(sigma) * rng.standard_normal(actions.shape, np.float32)
    return np.minimum(np.maximum(actions + noise, np.float32(-1)), np.float32(1))


class OrnsteinUhlenbeck:
    """Noise that remembers itself, for bodies with inertia (Uhlenbeck & Ornstein 1930; Lillicrap et al. 2016).

        n ← n − θ n Δt + σ √Δt ξ,   ξ ~ N(0, I)

    Its stationary deviation is σ/√(2θ) for small Δt.

    Parameters
    ----------
    sigma : float
        σ.
    theta : float
        θ, how fast it forgets.
    dt : float
        Δt.
    """

    def __init__(self, sigma: float, theta: float = 0.15, dt: float = 1e-2):
        self.sigma, self.theta, self.dt = sigma, theta, dt
        self.noise = np.zeros((0, 0), np.float32)

    def __call__(self, actions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Actions (N, A) with the next noise added, clipped to [−1, 1]."""
        if self.noise.shape != actions.shape:
            self.noise = np.zeros_like(actions)
        pushes = rng.standard_normal(actions.shape, np.float32)
        self.noise = self.noise * np.float32(1 - self.theta * self.dt) + np.float32(self.sigma * self.dt**0.5) * pushes
        return np.minimum(np.maximum(actions + self.noise, np.float32(-1)), np.float32(1))

    def reset(self, copies: np.ndarray) -> None:
        """Start anew in the environments whose episode ended: a mask (N,)."""
        if len(self.noise):
            self.noise[copies] = 0

    def begin(self, num_envs: int) -> None:
        """New episodes begin in all environments."""
        self.noise = np.zeros((0, 0), np.float32)

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"noise": self.noise}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        self.noise = np.array(state["noise"])


def replace_by_random(
    actions: np.ndarray, share: float, layout: ActionLayout, rng: np.random.Generator, mask: np.ndarray | None = None
) -> np.ndarray:
    """ε-greedy: each environment's action (N, …) is replaced by a uniform one with probability `share`; in place.

    A mask (N, C) says which choices are allowed.
    """
    if share:
        chosen = rng.random(len(actions)) < share
        actions[chosen] = layout.random(int(chosen.sum()), rng, None if mask is None else mask[chosen])
    return actions
