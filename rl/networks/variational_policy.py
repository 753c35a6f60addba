"""A policy with a latent variable, whose entropy is bounded from below (the thesis on maximum entropy, §2.1.2: VQL).

    z = μ₂(s) + σ₂(s)ξ_z                                                π₂(z|s)
    a = tanh(μ₁(s, z) + σ₁(s, z)ξ_a)                                    π₁(a|z, s), see squashed.py
    q₃(z|a, s) = N(μ₃(s, a), σ₃(s, a)²)                                 a guess of the z that a came from
    b = ln π₁(a|z, s) + ln π₂(z|s) − ln q₃(z|a, s)

π(a|s) = ∫ π₁π₂ dz has no closed form. But E b = E ln π(a|s) + E KL(p(z|a, s)‖q₃) ≥ E ln π(a|s): in
the place of ln π in an actor's loss, b asks for less entropy than there is, and for as much where
q₃ is the posterior. All three networks descend on the same loss.

Backward   with g = dL/db, e = (z − μ₃)/σ₃; of ln q₃ comes −g:
           dμ₃ = −g·e/σ₃        d ln σ₃ = −g·(e² − 1)        dz += g·e/σ₃        da += (through q₃'s network)
           (dμ₁, d ln σ₁) = squashed.backward(da, g)                             dz += (through π₁'s network)
           dμ₂ = dz             d ln σ₂ = dz·σ₂ξ_z − g        −ln σ₂ is in ln π₂, whose −½ξ_z² does not move

ln σ is held in [−20, 2] everywhere; outside, its gradient is 0.

Shapes: B rows, A action dimensions, D latent ones.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from deepnp import Module
from deepnp.backend import array_module
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations, length, vector, with_actions
from rl.networks import squashed
from rl.networks.encoders import network
from rl.networks.squashed import LOG_SIGMA_MAX, LOG_SIGMA_MIN

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class VariationalPolicy(Module):
    """Actions through a latent variable. What it offers is what `SquashedGaussianPolicy` does, with b as its `log_prob`.

    Parameters
    ----------
    space : SpaceInfo
    hidden : sequence of int
        Of all three networks.
    activation : callable returning a Module
    latent : int
        D.
    rng : numpy.random.Generator
        Source of the initial weights.
    gain : float
        Of the last orthogonal weights of π₁ and π₂; q₃'s have 1.
    """

    def __init__(
        self,
        space: SpaceInfo,
        hidden: Sequence[int],
        activation: Callable[[], Module],
        latent: int,
        rng: np.random.Generator,
        gain: float = 0.01,
    ):
        self.actions, self.latent, self.noise_size = space.actions, latent, latent + space.actions
        layout = space.observation
        self.prior = network(layout, hidden, 2 * latent, activation, rng, output_gain=gain)
        self.action = network(layout, hidden, 2 * self.actions, activation, rng, output_gain=gain, beside=latent)
        self.posterior = network(layout, hidden, 2 * latent, activation, rng, beside=self.actions)
        self._cache = None

    def forward(self, x: Observations, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x (B, …), noise (B, D + A) -> actions (B, A), and the bound b (B,)."""
        drawn, self._cache = self._drawn(x, noise, "forward")
        return drawn

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy = (dactions (B, A), dbound (B,))."""
        (dactions, g), (prior, posterior, of_action) = dy, self.cache
        row, concatenate = g[:, None], array_module(g).concatenate
        log_sigma, sigma, error = posterior
        dposterior = concatenate([-row * error / sigma, _freely(log_sigma, row * (1 - error * error))], axis=1)
        dread = self.posterior.backward(dposterior, params)
        own = dread.shape[1] - self.actions
        dmean, dlog_sigma, _ = squashed.backward((dactions + dread[:, own:], g), of_action)
        dread_action = self.action.backward(concatenate([dmean, dlog_sigma], axis=1), params)
        dz = row * error / sigma + dread_action[:, own:]
        log_sigma, sigma, noise = prior
        dprior = concatenate([dz, _freely(log_sigma, dz * sigma * noise - row)], axis=1)
        dx = self.prior.backward(dprior, params, inputs)
        return dx + dread[:, :own] + dread_action[:, :own] if inputs else None

    def predict(self, x: Observations, noise: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Like `forward`, remembering nothing.

        Without noise the action of ξ = 0, and None.
        """
        if noise is None:
            z = self.prior.predict(x)[:, : self.latent]
            return array_module(z).tanh(self.action.predict(with_actions(x, z))[:, : self.actions]), None
        return self._drawn(x, noise, "predict")[0]

    def draw(self, x: Observations, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
        """Random actions (B, A) for x (B, …), and their bound (B,)."""
        noise = rng.standard_normal((length(x), self.noise_size), np.float32)
        return self.predict(x, array_module(vector(x)).asarray(noise))

    def _drawn(self, x, noise, method):
        noise_z, noise_a = _parted(noise, self.latent)
        mean, log_sigma = _parted(getattr(self.prior, method)(x), self.latent)
        held, sigma = _held(log_sigma)
        z = mean + sigma * noise_z
        log_prior = (-0.5 * noise_z * noise_z - held - HALF_LOG_2PI).sum(axis=1)
        (actions, log_prob), of_action = squashed.forward(
            *_parted(getattr(self.action, method)(with_actions(x, z)), self.actions), noise_a
        )
        mean, log_sigma_q = _parted(getattr(self.posterior, method)(with_actions(x, actions)), self.latent)
        held_q, sigma_q = _held(log_sigma_q)
        error = (z - mean) / sigma_q
        log_posterior = (-0.5 * error * error - held_q - HALF_LOG_2PI).sum(axis=1)
        cache = (log_sigma, sigma, noise_z), (log_sigma_q, sigma_q, error), of_action
        return (actions, log_prob + log_prior - log_posterior), cache


def _parted(y, width):
    """The first columns, and the others."""
    contiguous = array_module(y).ascontiguousarray
    return contiguous(y[:, :width]), contiguous(y[:, width:])


def _held(log_sigma):
    held = log_sigma.clip(LOG_SIGMA_MIN, LOG_SIGMA_MAX)
    return held, array_module(held).exp(held)


def _freely(log_sigma, gradient):
    """The gradient of ln σ where it is not held."""
    return array_module(gradient).where(squashed.free(log_sigma), gradient, gradient.dtype.type(0))
