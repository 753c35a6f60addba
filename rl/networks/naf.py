"""Normalised advantage functions (Gu et al. 2016): a Q of continuous actions whose largest value is known.

    one network gives v, m (A,) and l (A(A + 1)/2,) of s

Forward     V = v        μ = tanh m
            L lower triangular, L_ij = l_ij below the diagonal and e^{l_ii} on it
            d = a − μ        u = Lᵀd        Q = V − ½‖u‖²               so max_a Q = V, at a = μ
Backward    dV = dQ
            du = −dQ u                                                   ∂(½‖u‖²)/∂u = u
            dL_ij = du_j d_i                                             u_j = Σ_i L_ij d_i
            dd = L du        dμ = −dd = dQ L u        dm = dμ (1 − μ²)
            dl_ij = dL_ij below the diagonal, dL_ii L_ii on it

The thesis's brace says A = +½…; the minus is right. LLᵀ is positive definite: its inverse can be the
covariance of the noise.

Shapes: B rows, A action dimensions, K = A(A + 1)/2.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from deepnp import Module
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.networks.encoders import network

GAIN = 0.01  # of the last weights for m and l: at first μ is near 0, and L near the identity


class Cache(NamedTuple):
    """What backward needs."""

    mean: np.ndarray  # μ (B, A)
    factor: np.ndarray  # L (B, A, A)
    distance: np.ndarray  # d (B, A)
    scaled: np.ndarray  # u (B, A)


class NAFNetwork(Module):
    """Q(s, a) with its V, its μ and its L; as a policy, where it predicts, it gives μ.

    Parameters
    ----------
    space : SpaceInfo
        With a bounded Box of actions.
    hidden : sequence of int
    activation : callable returning a Module
    rng : numpy.random.Generator
        Source of the initial weights.
    """

    def __init__(self, space: SpaceInfo, hidden: Sequence[int], activation: Callable[[], Module], rng: np.random.Generator):
        self.actions = space.actions
        self.rows, self.columns = np.tril_indices(self.actions)
        self.body = network(space.observation, hidden, 1 + self.actions + len(self.rows), activation, rng)
        *_, weight, _ = self.body.parameters()
        weight.data[1:] *= GAIN
        self._cache = None

    def forward(self, x: tuple[Observations, np.ndarray]) -> np.ndarray:
        """x = (s (B, …), a (B, A)) -> Q (B,)."""
        observations, actions = x
        value, mean, factor = self._split(self.body.forward(observations))
        distance = actions - mean
        scaled = (factor * distance[:, :, None]).sum(axis=1)
        self._cache = Cache(mean, factor, distance, scaled)
        return value - (scaled * scaled).sum(axis=1) / 2

    def backward(self, dy: np.ndarray, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dQ (B,) -> that of the observations; actions are data."""
        mean, factor, distance, scaled = self.cache
        dscaled = -dy[:, None] * scaled
        dmean = -(factor * dscaled[:, None, :]).sum(axis=2) * (1 - mean * mean)
        dfactor = (distance[:, :, None] * dscaled[:, None, :])[:, self.rows, self.columns]  # (B, K)
        diagonal = self.rows == self.columns
        dfactor[:, diagonal] *= factor[:, self.rows[diagonal], self.rows[diagonal]]
        return self.body.backward(np.concatenate([dy[:, None], dmean, dfactor], axis=1), params, inputs)

    def predict(self, x: Observations) -> np.ndarray:
        """μ(s), the best action: (B, A)."""
        return np.tanh(self.body.predict(x)[:, 1 : 1 + self.actions])

    def value(self, x: Observations) -> np.ndarray:
        """V(s), what the best action is worth: (B,)."""
        return self.body.predict(x)[:, 0]

    def noise(self, x: Observations, rng: np.random.Generator) -> np.ndarray:
        """Draws (B, A) of N(0, (LLᵀ)⁻¹): small where Q falls off steeply."""
        _, mean, factor = self._split(self.body.predict(x))
        draws = rng.standard_normal(mean.shape, mean.dtype)
        return np.linalg.solve(factor.transpose(0, 2, 1), draws[:, :, None])[:, :, 0]

    def _split(self, y):
        """V (B,), μ (B, A), L (B, A, A)."""
        end, factor = 1 + self.actions, np.zeros((len(y), self.actions, self.actions), y.dtype)
        factor[:, self.rows, self.columns] = y[:, end:]
        diagonal = np.arange(self.actions)
        factor[:, diagonal, diagonal] = np.exp(factor[:, diagonal, diagonal])
        return y[:, 0], np.tanh(y[:, 1:end]), factor
