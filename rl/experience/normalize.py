"""Running normalisation of observations and scaling of rewards (§3.4.1 of the thesis, corrected).

Welford's recurrence merges a batch of n values with mean m and squared deviations M into the
running ones (Chan et al.):

    δ = m − μ      μ ← μ + δ·n/(N+n)      M2 ← M2 + M + δ²·N·n/(N+n)      N ← N + n

Two-pass within the batch, so a large mean does not drown a small variance. Statistics are float64.

Shapes: N environments, O observation.
"""

import math

import numpy as np

from deepnp import NonFiniteError
from deepnp.backend import exact_kernel, kernel_runs, ordered_kernel


class RunningMoments:
    """Mean and variance of everything seen so far, per feature.

    Parameters
    ----------
    size : int
        Features.
    """

    def __init__(self, size: int):
        self.count = 0.0
        self.mean = np.zeros(size)
        self.squares = np.zeros(size)  # M2: the sum of squared deviations

    def update(self, batch: np.ndarray) -> None:
        """Take in a batch (n, size)."""
        n = len(batch)
        if n == 0:
            return
        if kernel_runs(batch):
            _update(batch, self.mean, self.squares, self.count)
            self.count += n
            return
        mean = batch.mean(axis=0, dtype=np.float64)
        squares = np.square(batch - mean).sum(axis=0)
        delta, total = mean - self.mean, self.count + n
        self.mean += delta * (n / total)
        self.squares += squares + delta * delta * (self.count * n / total)
        self.count = total

    @property
    def sigma(self) -> np.ndarray:
        """Standard deviation (size,); 1 before two values have come."""
        return np.sqrt(self.squares / (self.count - 1)) if self.count > 1 else np.ones_like(self.mean)

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"count": np.array(self.count), "mean": self.mean, "squares": self.squares}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        for name, own in (("mean", self.mean), ("squares", self.squares)):
            if state[name].shape != own.shape or not np.isfinite(state[name]).all():
                raise ValueError(f"expected finite moments of {len(own)} features, given {name} of shape {state[name].shape}")
        if state["squares"].min(initial=0) < 0 or not 0 <= state["count"] < np.inf:
            raise ValueError(f"expected moments with sums of squares >= 0, given {state['squares']} of {state['count']} values")
        self.count = float(state["count"])
        self.mean[:], self.squares[:] = state["mean"], state["squares"]


class ObservationNormalizer:
    """x̂ = clip((x − μ)/(σ + ε), ±clip).

    A constant feature has σ = 0; the floor ε makes its x̂ zero instead of NaN. Frozen in
    evaluation: only `update` learns.

    Parameters
    ----------
    size : int
        O.
    clip : float
        Bound of the result.
    """

    EPSILON = 1e-4

    def __init__(self, size: int, clip: float = 10.0):
        self.moments = RunningMoments(size)
        self.clip = clip

    @property
    def shift(self) -> np.ndarray:
        """What is subtracted, μ (O,)."""
        return self.moments.mean

    @property
    def scale(self) -> np.ndarray:
        """What is divided by, σ + ε (O,)."""
        return self.moments.sigma + self.EPSILON

    def update(self, observations: np.ndarray) -> None:
        """Take in observations (N, O)."""
        self.moments.update(observations)

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Normalise (…, O) into a new float32 array; learns nothing."""
        moments, out = self.moments, np.empty(observations.shape, np.float32)
        if kernel_runs(observations):
            rows = (x.reshape(-1, len(moments.mean)) for x in (observations, out))
            _normalize(*rows, moments.mean, moments.squares, moments.count, self.EPSILON, self.clip)
            return out
        out[...] = np.clip((observations - self.shift) / self.scale, -self.clip, self.clip)
        return out

    def state_dict(self) -> dict[str, np.ndarray]:
        return self.moments.state_dict()

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        self.moments.load_state_dict(state)


class RewardScaler:
    """r̂ = clip(r/σ_R, ±clip), σ_R the running standard deviation of the discounted return R_t = γR_{t−1} + r_t.

    The mean is not subtracted: that would change what the best policy is.

    Parameters
    ----------
    gamma : float
        γ.
    clip : float
        Bound of the result.
    """

    EPSILON = 1e-8

    def __init__(self, gamma: float, clip: float = 10.0):
        self.moments = RunningMoments(1)
        self.gamma, self.clip = gamma, clip
        self.returns = np.zeros(0)

    def begin(self, num_envs: int) -> None:
        """New episodes in `num_envs` environments: the scale stays, the returns start at zero."""
        self.returns = np.zeros(num_envs)

    def __call__(self, rewards: np.ndarray, ended: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Take in and scale the rewards (N,) of one step.

        `ended` (N,) says whose episode it closed, `valid` (N,) whose step happened at all.

        Raises
        ------
        NonFiniteError
            If the rewards are so large that their variance is infinite.
        """
        if kernel_runs(rewards, self.returns):
            return self._scale_fast(rewards, ended, valid)
        self.returns = self.gamma * self.returns + rewards
        self.moments.update(self.returns[valid, None])
        self.returns[ended] = 0
        self._check(rewards)
        return np.minimum(np.maximum(rewards / (self.moments.sigma[0] + self.EPSILON), -self.clip), self.clip)

    def _scale_fast(self, rewards, ended, valid):
        moments, out = self.moments, np.empty_like(rewards)
        constants = self.gamma, self.EPSILON, self.clip
        moments.count = _scale(rewards, ended, valid, self.returns, moments.mean, moments.squares, moments.count, *constants, out)
        self._check(rewards)
        return out

    def _check(self, rewards):
        if not math.isfinite(self.moments.squares[0]):
            raise NonFiniteError(f"the scale of the rewards is infinite after a reward of {rewards[np.argmax(np.abs(rewards))]}")

    def state_dict(self) -> dict[str, np.ndarray]:
        return {**self.moments.state_dict(), "returns": self.returns}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        if state["returns"].ndim != 1:
            raise ValueError(f"expected discounted returns (N,), given shape {state['returns'].shape}")
        self.moments.load_state_dict(state)
        self.returns = np.array(state["returns"], np.float64)


@ordered_kernel
def _update(batch, mean, squares, count):
    n, size = batch.shape
    batch_mean, batch_squares = np.zeros(size), np.zeros(size)
    for i in range(n):
        for j in range(size):
            batch_mean[j] += batch[i, j]
    for j in range(size):
        batch_mean[j] /= n
    for i in range(n):
        for j in range(size):
            deviation = batch[i, j] - batch_mean[j]
            batch_squares[j] += deviation * deviation
    for j in range(size):
        delta = batch_mean[j] - mean[j]
        mean[j] += delta * (n / (count + n))
        squares[j] += batch_squares[j] + delta * delta * (count * n / (count + n))


@exact_kernel
def _scale(rewards, ended, valid, returns, mean, squares, count, gamma, epsilon, clip, out):
    """Scaled rewards -> out; returns the new count."""
    n, batch = 0, np.empty((len(rewards), 1))
    for i in range(len(rewards)):
        returns[i] = gamma * returns[i] + rewards[i]
        if valid[i]:
            batch[n, 0] = returns[i]
            n += 1
        if ended[i]:
            returns[i] = 0
    if n > 0:
        _update(batch[:n], mean, squares, count)
    count += n
    scale = (math.sqrt(squares[0] / (count - 1)) if count > 1 else 1.0) + epsilon
    for i in range(len(rewards)):
        out[i] = min(max(rewards[i] / scale, -clip), clip)
    return count


@ordered_kernel
def _normalize(x, out, mean, squares, count, epsilon, clip):
    scale = np.ones(len(mean))
    for j in range(len(mean)):
        scale[j] = 1 / ((math.sqrt(squares[j] / (count - 1)) if count > 1 else 1.0) + epsilon)
    for i in range(len(x)):
        for j in range(len(mean)):
            out[i, j] = min(max((x[i, j] - mean[j]) * scale[j], -clip), clip)
