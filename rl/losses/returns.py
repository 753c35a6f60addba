"""Returns and advantages of trajectories.

Shapes: T steps, N environments. All arrays are (T, N); `ended` marks the last step of an episode,
however it ended.

`next_values` is V(s_{t+1}) *of the same episode*: 0 where s_t terminated, V(final observation)
where it was truncated. So no function here needs to know the difference between the two.
"""

import numpy as np

from deepnp.backend import kernel, kernel_runs

ESTIMATORS = ("mc", "td", "n-step", "gae")


def td_errors(rewards, values, next_values, gamma) -> np.ndarray:
    """δ_t = r_t + γ V(s_{t+1}) − V(s_t): (T, N)."""
    return rewards + gamma * next_values - values


def gae(rewards, values, next_values, ended, gamma: float, lam: float, horizon: int | None = None) -> np.ndarray:
    """Generalised advantage estimation (Schulman et al. 2016), the sum cut at the episode's end.

        A_t = Σ_{l=0}^{h−1} (γλ)^l δ_{t+l}        = δ_t + γλ A_{t+1} for an unlimited horizon
        δ_t = r_t + γ V(s_{t+1}) − V(s_t)

    λ = 0 is the one-step TD error, λ = 1 the Monte Carlo advantage.

    Parameters
    ----------
    rewards, values, next_values : float arrays (T, N)
    ended : bool array (T, N)
    gamma, lam : float
        γ and λ in [0, 1].
    horizon : int or None
        h, the number of TD errors in the sum (Algorithm 12 sums one more); None is unlimited.

    Returns
    -------
    array (T, N)
    """
    deltas = td_errors(rewards, values, next_values, gamma)
    steps = len(deltas) if horizon is None else min(horizon, len(deltas))
    if kernel_runs(deltas) and ended.flags.c_contiguous:
        return _gae(deltas, ended, deltas.dtype.type(gamma * lam), steps)
    return _gae_plain(deltas, ended, gamma * lam, steps)


def _gae_plain(deltas, ended, decay, horizon):
    advantages = np.zeros_like(deltas)
    for t in range(len(deltas)):
        valid, weight = np.ones(deltas.shape[1], bool), 1.0
        for k in range(t, min(t + horizon, len(deltas))):
            advantages[t] += np.where(valid, weight * deltas[k], 0)
            valid, weight = valid & ~ended[k], weight * decay
    return advantages


@kernel
def _gae(deltas, ended, decay, horizon):
    length, copies = deltas.shape
    advantages = np.zeros_like(deltas)
    if horizon >= length:  # the recursion; copies lie side by side in memory
        for i in range(copies):
            advantages[length - 1, i] = deltas[length - 1, i]
        for t in range(length - 2, -1, -1):
            for i in range(copies):
                trace = advantages[t + 1, i] * decay
                advantages[t, i] = deltas[t, i] + (deltas.dtype.type(0) if ended[t, i] else trace)
        return advantages
    for t in range(length):
        for i in range(copies):
            weight = deltas.dtype.type(1)
            for k in range(t, min(t + horizon, length)):
                advantages[t, i] += weight * deltas[k, i]
                if ended[k, i]:
                    break
                weight *= decay
    return advantages


def n_step_returns(rewards, next_values, ended, gamma: float, n: int) -> np.ndarray:
    """G_t = Σ_{l=0}^{m−1} γ^l r_{t+l} + γ^m V(s_{t+m}), with m = n, or less where the episode or the data ends.

    n = 1 is the TD target; n ≥ T is the Monte Carlo return, bootstrapped where the data ends.
    Arrays (T, N) -> (T, N).
    """
    if n < 1:
        raise ValueError(f"expected n >= 1, given {n}")
    length = len(rewards)
    out = np.zeros_like(rewards)
    for t in range(length):
        valid, weight = np.ones(rewards.shape[1], bool), 1.0
        for k in range(t, min(t + n, length)):
            out[t] += np.where(valid, weight * rewards[k], 0)
            last = ended[k] | (k == min(t + n, length) - 1)
            out[t] += np.where(valid & last, weight * gamma * next_values[k], 0)
            valid, weight = valid & ~ended[k], weight * gamma
    return out


def monte_carlo_returns(rewards, next_values, ended, gamma: float) -> np.ndarray:
    """G_t = r_t + γ G_{t+1} to the episode's end, bootstrapped with V where the data or a truncation cuts it: (T, N)."""
    out = np.empty_like(rewards)
    following = next_values[-1]
    for t in range(len(rewards) - 1, -1, -1):
        following = rewards[t] + gamma * np.where(ended[t], next_values[t], following)
        out[t] = following
    return out


def advantages_of(estimator: str, rewards, values, next_values, ended, gamma: float, lam: float, n: int) -> np.ndarray:
    """A_t by one of four estimators: (T, N).

        mc        G_t − V(s_t)            to the episode's end: no bias of V's where episodes end, much variance
        td        δ_t                     one reward, the rest is V's: much bias, little variance
        n-step    G_t^(n) − V(s_t)        n rewards, between the two
        gae       Σ (γλ)^l δ_{t+l}        all of them weighed: λ = 0 is td, λ = 1 is mc

    Parameters
    ----------
    estimator : {"mc", "td", "n-step", "gae"}
    rewards, values, next_values, ended : arrays (T, N)
    gamma, lam : float
        γ; λ of "gae".
    n : int
        Of "n-step".

    Raises
    ------
    ValueError
        For an unknown estimator.
    """
    if estimator == "mc":
        return monte_carlo_returns(rewards, next_values, ended, gamma) - values
    if estimator == "td":
        return td_errors(rewards, values, next_values, gamma)
    if estimator == "n-step":
        return n_step_returns(rewards, next_values, ended, gamma, n) - values
    if estimator == "gae":
        return gae(rewards, values, next_values, ended, gamma, lam)
    raise ValueError(f"expected an estimator among {ESTIMATORS}, given {estimator!r:.80}")
