"""The dual of relative entropy policy search (Peters, Mülling & Altün 2010), and the weights that its solution gives.

    max_p Σ p_i r_i      subject to  KL(p‖1/B) ≤ ε,  Σ p_i (φ′_i − φ_i) = 0,  Σ p_i = 1

What flows into a state's features flows out of them. With multipliers η of the first and ν of the second constraint

    δ = r + (φ′ − φ)ν                       how much better than V(s) = νᵀφ(s) a step was
    p_i = w_i/Σ w,  w = e^{δ/η}
    g(η, ν) = ηε + η ln (1/B) Σ e^{δ/η}     to be minimised: convex in both
    ∂g/∂η = ε + ln (1/B) Σ e^{δ/η} − Σ p δ/η
    ∂g/∂ν = Σ p (φ′ − φ)

Exponents have their maximum subtracted: e^{(δ − max δ)/η} ≤ 1, and g gains max δ. A penalty ½κ‖ν‖² bounds ν where no weights
satisfy the second constraint, as after terminal steps, which have φ′ = 0.

Shapes: B steps, F features.
"""

from typing import NamedTuple

import numpy as np

from deepnp.checks import check_shape
from rl.losses.checks import check_finite
from rl.solvers.lbfgs import minimize

SMALLEST = 1e-6  # of η, in units of the rewards' spread: then all weight lies on the best step
LARGEST = 1e6  # of η and ν: they grow without end where no weights satisfy both constraints


class Dual(NamedTuple):
    """A solution.

    Attributes
    ----------
    eta : float
    nu : array (F,)
    weights : array (B,)
        p, times B: of mean 1.
    divergence : float
        KL(p‖1/B).
    steps : int
        Of the solver.
    """

    eta: float
    nu: np.ndarray
    weights: np.ndarray
    divergence: float
    steps: int


def dual(x: np.ndarray, rewards: np.ndarray, change: np.ndarray, epsilon: float, penalty: float) -> tuple[float, np.ndarray]:
    """g + ½κ‖ν‖² at x = (η, ν), and its gradient (1 + F,); infinite for η <= 0, and far away.

    Parameters
    ----------
    x : array (1 + F,)
    rewards : array (B,)
    change : array (B, F)
        φ′ − φ.
    epsilon, penalty : float
        ε and κ.
    """
    eta, nu = float(x[0]), x[1:]
    if not (eta >= SMALLEST and np.abs(x).max() <= LARGEST):
        return np.inf, np.zeros_like(x)
    delta = rewards + change @ nu
    p, largest, log_mean = _weights(delta, eta)
    value = eta * (epsilon + log_mean) + largest + 0.5 * penalty * float(nu @ nu)
    deta = epsilon + log_mean - float(p @ (delta - largest)) / eta
    return value, np.concatenate([[deta], p @ change + penalty * nu])


def solve(rewards: np.ndarray, change: np.ndarray, epsilon: float, penalty: float, steps: int = 200) -> Dual:
    """The weights of steps with these rewards (B,) and changes of features (B, F).

    Parameters
    ----------
    rewards, change, epsilon
        See `dual`.
    penalty : float
        κ, of ν in units of the rewards' spread.
    steps : int
        Of the solver, at most.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is nothing.
    NonFiniteError
        If a reward or a feature is NaN or infinite.
    """
    if rewards.ndim != 1 or not len(rewards):
        raise ValueError(f"expected rewards (B,) of one step at least, given {rewards.shape}")
    check_shape("change", change, (len(rewards), *change.shape[1:2]))
    check_finite("sum of rewards and features", float(rewards.sum() + change.sum()))
    spread = float(np.std(rewards)) or float(np.abs(rewards).max()) or 1.0
    scaled = (rewards - rewards.mean()) / spread  # the same p; numbers of the size of 1
    start = np.concatenate([[1.0], np.zeros(change.shape[1])])
    found = minimize(lambda x: dual(x, scaled, change, epsilon, penalty), start, steps)
    eta, nu = float(found.x[0]), found.x[1:]
    p, _, _ = _weights(scaled + change @ nu, eta)
    divergence = float(p[p > 0] @ np.log(p[p > 0] * len(p)))
    return Dual(eta * spread, nu * spread, p * len(p), divergence, found.steps)


def _weights(delta, eta):
    """p (B,), max δ, and ln of the mean of e^{(δ − max δ)/η}."""
    largest = float(delta.max())
    with np.errstate(under="ignore"):
        weights = np.exp((delta - largest) / eta)
    return weights / weights.sum(), largest, float(np.log(weights.mean()))
