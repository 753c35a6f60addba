"""A policy that is a normalizing flow: a Gaussian, coupling layers that the state makes, tanh.

    z = μ(s) + σ(s)ξ        u = f(z; s)        a = tanh u                       f: `deepnp.models.RealNVP`
    ln π(a|s) = Σ_j [−½ξ² − ln σ − ½ ln 2π]_j − ln |det ∂f/∂z| − Σ_j ln(1 − tanh² u_j)

Both determinants divide: each map stretches space, and thins the probability out. (The thesis on
maximum entropy, §2.1.2, prints products; see docs/errata.md.)

Backward   with g = dL/dln π
           du = da·(1 − a²) + 2a·g                          as in squashed.py
           dz = (through f, with d ln det = −g)
           dμ = dz        d ln σ = dz·σξ − g                 ln σ is held in [−20, 2]; outside, its gradient is 0

At first f is the identity, and the policy is the squashed Gaussian.

Shapes: B rows, A action dimensions.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from deepnp import Module
from deepnp.models import RealNVP
from deepnp.ops.activation import softplus
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations, length, vector
from rl.networks.encoders import network
from rl.networks.squashed import LOG_SIGMA_MAX, LOG_SIGMA_MIN, free


class FlowPolicy(Module):
    """a = tanh f(μ(s) + σ(s)ξ; s), ξ ~ N(0, I). What it offers is what `SquashedGaussianPolicy` does.

    Parameters
    ----------
    space : SpaceInfo
        Of vector observations.
    hidden : sequence of int
        Of the network of μ and ln σ; those of the coupling layers have (64, 64).
    activation : callable returning a Module
    layers : int
        Coupling layers.
    rng : numpy.random.Generator
        Source of the initial weights.
    gain : float
        Of the last layer's orthogonal weights.

    Raises
    ------
    ValueError
        For observations with images.
    """

    def __init__(
        self,
        space: SpaceInfo,
        hidden: Sequence[int],
        activation: Callable[[], Module],
        layers: int,
        rng: np.random.Generator,
        gain: float = 0.01,
    ):
        if space.observation.images:
            raise ValueError("expected vectors as observations, for a flow, given images")
        self.actions = self.noise_size = space.actions
        self.body = network(space.observation, hidden, 2 * self.actions, activation, rng, output_gain=gain)
        self.flow = RealNVP(self.actions, space.observations, layers, rng=rng)
        self._cache = None

    def forward(self, x: Observations, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x (B, O), noise (B, A) -> actions (B, A), their log-probability (B,)."""
        y = self.body.forward(x)
        drawn, self._cache = self._drawn(y, noise, self.flow.forward, vector(x))
        return drawn

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy = (dactions (B, A), dlog_prob (B,))."""
        (dactions, dlog_prob), (log_sigma, sigma, noise, actions) = dy, self.cache
        row = dlog_prob[:, None]
        du = dactions * (1 - actions * actions) + 2 * actions * row
        dz, dcontext = self.flow.backward((du, -dlog_prob), params)
        dlog_sigma = np.where(free(log_sigma), dz * sigma * noise - row, dz.dtype.type(0))
        dx = self.body.backward(np.concatenate([dz, dlog_sigma], axis=1), params, inputs)
        return dx + dcontext if inputs else None

    def predict(self, x: Observations, noise: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Like `forward`, remembering nothing.

        Without noise the action of ξ = 0, tanh f(μ(s); s), and None.
        """
        y = self.body.predict(x)
        if noise is None:
            return np.tanh(self.flow.predict(np.ascontiguousarray(y[:, : self.actions]), vector(x))[0]), None
        return self._drawn(y, noise, self.flow.predict, vector(x))[0]

    def draw(self, x: Observations, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
        """Random actions (B, A) for x (B, O), and their log-probability (B,)."""
        return self.predict(x, rng.standard_normal((length(x), self.noise_size), np.float32))

    def _drawn(self, y, noise, flow, context):
        log_sigma = y[:, self.actions :]
        held = np.clip(log_sigma, LOG_SIGMA_MIN, LOG_SIGMA_MAX)
        sigma = np.exp(held)
        u, log_det = flow(y[:, : self.actions] + sigma * noise, context)
        actions, volume = np.tanh(u), 2 * (math.log(2) - u - softplus.forward(-2 * u)[0])
        log_prob = (-0.5 * noise * noise - held - 0.5 * math.log(2 * math.pi) - volume).sum(axis=1) - log_det
        return (actions, log_prob), (log_sigma, sigma, noise, actions)
