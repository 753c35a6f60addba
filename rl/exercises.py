"""What reinforcement learning adds to the exercises of `python -m deepnp.learn`.

`sac_actor` is an exercise of its own: the whole way of the actor's gradient, with critics that are
polynomials of the action, so that nothing else need be known of them.

Shapes: B rows, A action dimensions, K critics, T steps, N environments.
"""

import sys
from types import ModuleType

import numpy as np

from deepnp.cases import Booleans, Uniform
from deepnp.learn import Exercise, FunctionExercise, OperationExercise
from deepnp.learn.exercise import of_losses
from rl.exercises_gae import HINTS, MISTAKES
from rl.losses import choices, distributional, returns, soft, surrogate, td
from rl.networks import squashed

CHAPTER = "Reinforcement learning"


def sac_actor(mean, log_sigma, noise, slopes, curvatures, alpha: float) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """What SAC's actor loses (Haarnoja et al. 2018, Eq. 7 of the second paper), with the smaller of K critics.

        σ = e^ℓ,  u = μ + σξ,  a = tanh u                    ξ ~ N(0, I) is given
        ln π(a) = Σ_j [−½ξ² − ℓ − ½ ln 2π − ln(1 − a²)]_j
        Q_k(a) = Σ_j [g_k a − ½ h_k a²]_j                    in place of a network
        J = (1/B) Σ_b [α ln π(a) − min_k Q_k(a)]
        dlnπ = α/B
        da = −(1/B)(g_k − h_k a)                             k the smallest of the row: a minimum passes its gradient to one
        dμ = da·(1 − a²) + 2a·dlnπ                           through a = tanh u, and through −ln(1 − a²), whose slope is 2a
        dℓ = dμ·σξ − dlnπ                                    u moves with σ = e^ℓ; −ℓ stands in ln π itself

    Parameters
    ----------
    mean, log_sigma, noise : arrays (B, A)
        μ, ℓ (between −20 and 2) and ξ.
    slopes, curvatures : arrays (K, B, A)
        g and h.
    alpha : float
        α.

    Returns
    -------
    value : float
    gradients : tuple of two arrays (B, A)
        With respect to the mean and to log_sigma.
    """
    (actions, log_prob), cache = squashed.forward(mean, log_sigma, noise)
    q = (slopes * actions - 0.5 * curvatures * actions * actions).sum(axis=-1)  # (K, B)
    rows, size = np.arange(len(mean)), len(mean)
    least = q.argmin(axis=0)
    dactions = -(slopes - curvatures * actions)[least, rows] / size
    dlog_prob = np.full(size, alpha / size, mean.dtype)
    dmean, dlog_sigma, _ = squashed.backward((dactions, dlog_prob), cache)
    return float((alpha * log_prob - q[least, rows]).mean()), (dmean, dlog_sigma)


def exercises() -> list[Exercise]:
    """The exercises of this package, in reading order."""
    gae = FunctionExercise("rl.gae", returns, "gae", GAE_CASES, CHAPTER, ("advantages",), hints=HINTS, mistakes=MISTAKES)
    operation: ModuleType = squashed
    drawing = OperationExercise("rl.squashed", operation, "backward", tuple(operation.CASES), CHAPTER)
    ppo = of_losses("rl", surrogate, CHAPTER)
    sac = of_losses("rl", sys.modules[__name__], CHAPTER)
    values = [e for module in (td, choices, soft, distributional) for e in of_losses("rl", module, CHAPTER)]
    return [gae, *ppo, drawing, *sac, *values]


_TRAJECTORY = dict(rewards=(6, 3), values=(6, 3), next_values=(6, 3), ended=Booleans((6, 3), 0.3))
GAE_CASES = (
    dict(_TRAJECTORY, gamma=0.9, lam=0.8),
    dict(_TRAJECTORY, gamma=0.9, lam=0.8, horizon=3),
    dict(_TRAJECTORY, gamma=1.0, lam=0.0),
    dict(rewards=(1, 1), values=(1, 1), next_values=(1, 1), ended=Booleans((1, 1)), gamma=0.5, lam=1.0),
)
_CRITICS = dict(slopes=(2, 5, 3), curvatures=Uniform((2, 5, 3), 0.5, 2.0))
CASES = {
    sac_actor: [
        dict(mean=(5, 3), log_sigma=Uniform((5, 3), -2.0, 0.5), noise=(5, 3), **_CRITICS, alpha=0.2),
        dict(mean=(4, 1), log_sigma=(4, 1), noise=(4, 1), slopes=(3, 4, 1), curvatures=(3, 4, 1), alpha=1.0),
    ]
}
