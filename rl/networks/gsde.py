"""Generalised state-dependent exploration (Raffin, Kober & Stulp 2021): noise that is a function of the state.

    φ = features(s) (F,)        μ = W φ + b        a = μ + Eᵀφ        E_ij = σ_ij ξ_ij, ξ ~ N(0, 1)

E is drawn once for some steps, so in the same state the action is the same, and a trajectory is smooth: noise of its own at every
step shakes a body and averages out. Given s alone, before E is known, a_j is normal:

    π(a|s) = N(μ(s), σ(s)²)     σ_j(s)² = v_j = Σ_i φ_i² σ_ij² + ε

Backward   v = (φ ⊙ φ) S + ε with S = σ ⊙ σ, and σ_j(s) = √v_j
           dv = dσ(s)/(2σ(s))                                   the root
           dφ = 2φ ⊙ (dv Sᵀ) + Wᵀdμ                             φ is in both
           dlnσ_ij = 2 S_ij Σ_b φ_bi² dv_bj                     S = e^{2 ln σ}

Raffin et al. let no gradient of σ(s) into φ (`learn_features=False`); here it flows, as `backward` is the derivative of `forward`.

Shapes: B rows, N environments, F features, A action dimensions.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from deepnp import Module, Parameter, Sequential
from deepnp.models import mlp
from deepnp.parameters import Tangents
from rl.experience import trees
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.networks.distributions import DiagonalGaussian
from rl.networks.encoders import network
from rl.networks.heads import HeadSettings

EPSILON = 1e-6  # of the variance, where all features are 0


class Cache(NamedTuple):
    """Of the last forward pass."""

    features: np.ndarray  # (B, F)
    squares: np.ndarray  # S (F, A)
    sigma: np.ndarray  # σ(s) (B, A)


class StateDependentPolicy(Module):
    """π(a|s) = N(μ(s), σ(s)²), whose noise is linear in the features that μ is made of.

    Parameters
    ----------
    space : SpaceInfo
        With actions in a Box.
    hidden : sequence of int
        The last layer's values are the features.
    activation : callable returning a Module
        Between the layers, and before the features.
    settings : HeadSettings
        At the start σ_ij is initial_sigma/√F, so σ(s) is initial_sigma times the root mean square of φ.
    rng : numpy.random.Generator
        Source of the initial weights.

    Raises
    ------
    ValueError
        Without a hidden layer, or for a σ that is no trainable vector.
    """

    def __init__(
        self,
        space: SpaceInfo,
        hidden: Sequence[int],
        activation: Callable[[], Module],
        settings: HeadSettings,
        rng: np.random.Generator,
    ):
        if not hidden:
            raise ValueError(
                "expected a policy with a hidden layer and no trunk or memory, for state-dependent exploration, given none"
            )
        if settings.kind == "beta" or settings.sigma != "vector":
            given = f'head="{settings.kind}" and sigma="{settings.sigma}"'
            raise ValueError(f'expected a Gaussian with sigma="vector", for state-dependent exploration, given {given}')
        *inner, width = hidden
        body = network(space.observation, inner, width, activation, rng, output_gain=math.sqrt(2))
        self.settings, self.interval, self.features = settings, settings.sde_interval or 1, Sequential(body, activation())
        self.mean = mlp((width, space.actions), output_gain=0.01, rng=rng)
        start = math.log(settings.initial_sigma / math.sqrt(width))
        self.log_sigma = Parameter(np.full((width, space.actions), start, np.float32))
        self._cache: Any = None

    def forward(self, x: Observations) -> DiagonalGaussian:
        """x (B, …) -> distribution over (B, A), E unknown."""
        features = self.features.forward(x)
        mean, (squares, sigma) = self.mean.forward(features), self._spread(features)
        self._cache = Cache(features, squares, sigma)
        return self.settings.gaussian(mean, sigma)

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy = (dmean, dsigma (B, A))."""
        (dmean, dsigma), (features, squares, sigma) = dy, self.cache
        dvariance = dsigma / (2 * sigma)
        if params:
            self.log_sigma.grad += 2 * squares * ((features * features).T @ dvariance)
        dfeatures = 2 * features * (dvariance @ squares.T) + self.mean.backward(dmean, params)
        return self.features.backward(dfeatures, params, inputs)

    def predict(self, x: Observations) -> DiagonalGaussian:
        """Like `forward`, remembering nothing."""
        features = self.features.predict(x)
        return self.settings.gaussian(self.mean.predict(features), self._spread(features)[1])

    def explore(self, x: Observations, noise: np.ndarray) -> np.ndarray:
        """The actions (N, A) for x (N, …), with ξ (N, F, A) known."""
        features = self.features.predict(x)
        pushes = np.matmul(features[:, None], np.exp(self.log_sigma.data) * noise)[:, 0]
        return self.mean.predict(features) + pushes

    def _tangent(self, v: Tangents, vx) -> tuple[np.ndarray, np.ndarray]:
        features, squares, sigma = self.cache
        vfeatures = self.features.tangent(v, vx)
        vvariance = 2 * (features * vfeatures) @ squares + (features * features) @ (2 * squares * v[self.log_sigma])
        return self.mean.tangent(v, vfeatures), vvariance / (2 * sigma)

    def _spread(self, features):
        squares = np.exp(2 * self.log_sigma.data)
        return squares, np.sqrt((features * features) @ squares + features.dtype.type(EPSILON))


class Exploration:
    """Acts with a policy's noise for one rollout: ξ is drawn at its first step, and every `sde_interval` steps from there.

    Nothing of it outlives the rollout, so nothing is saved.

    Parameters
    ----------
    policy : StateDependentPolicy
    """

    def __init__(self, policy: StateDependentPolicy):
        self.policy = policy
        self._steps, self._noise = 0, np.zeros(0, np.float32)

    def act(self, observations: Observations, rng: np.random.Generator) -> np.ndarray:
        """The actions (N, A) of the next step."""
        if self._steps % self.policy.interval == 0:
            shape = trees.length(observations), *self.policy.log_sigma.shape
            self._noise = rng.standard_normal(shape, np.float32)
        self._steps += 1
        return self.policy.explore(observations, self._noise)
