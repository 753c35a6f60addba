"""Stochastic policies: observation -> distribution over actions, and back from its gradients to the parameters.

Shapes: B rows, O observation, A action dimensions, C choices.
"""

from collections.abc import Callable, Sequence

import numpy as np

from deepnp import Linear, Module, Parameter, Sequential, Softplus
from deepnp.models import mlp
from rl.networks.distributions import Categorical, DiagonalGaussian


class GaussianPolicy(Module):
    """π(a|s) = N(μ(s), σ²), with σ one of three kinds.

    Parameters
    ----------
    sizes : sequence of int
        O, hidden widths…, A.
    activation : callable returning a Module
        Between the layers.
    sigma : {"vector", "fixed", "network"}
        A trainable vector ln σ, independent of the state; a constant; or a network of its own, σ(s) = softplus(…).
    initial_sigma : float
        σ at the start.
    rng : numpy.random.Generator
        Source of the initial weights.
    """

    def __init__(self, sizes: Sequence[int], activation: Callable, sigma: str, initial_sigma: float, rng: np.random.Generator):
        self.mean = mlp(sizes, activation, output_gain=0.01, rng=rng)
        self.kind = sigma
        actions = sizes[-1]
        if sigma == "vector":
            self.log_sigma = Parameter(np.full(actions, np.log(initial_sigma), np.float32))
        elif sigma == "fixed":
            self._constant = np.full(actions, initial_sigma, np.float32)
        elif sigma == "network":
            body = mlp(sizes, activation, output_gain=0.01, rng=rng)
            last = body[len(body) - 1]
            assert isinstance(last, Linear)
            last.bias.data[...] = initial_sigma + np.log(-np.expm1(-initial_sigma))  # softplus⁻¹
            self.sigma = Sequential(body, Softplus())
        else:
            raise ValueError(f'expected sigma "vector", "fixed" or "network", given {sigma!r}')
        self._last_sigma: np.ndarray | None = None

    def forward(self, x) -> DiagonalGaussian:
        """x (B, O) -> distribution over (B, A)."""
        mean = self.mean.forward(x)
        self._last_sigma = self.sigma.forward(x) if self.kind == "network" else self._state_free_sigma()
        return DiagonalGaussian(mean, self._last_sigma)

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True):
        """dy = (dmean (B, A), dsigma like sigma)."""
        dmean, dsigma = dy
        dx = self.mean.backward(dmean, params, inputs)
        if self.kind == "vector" and params:
            self.log_sigma.grad += dsigma * self._last_sigma  # σ = e^{ln σ}: dlnσ = σ dσ
        elif self.kind == "network":
            dx_sigma = self.sigma.backward(dsigma, params, inputs)
            dx = dx + dx_sigma if inputs else None
        return dx

    def predict(self, x) -> DiagonalGaussian:
        mean = self.mean.predict(x)
        return DiagonalGaussian(mean, self.sigma.predict(x) if self.kind == "network" else self._state_free_sigma())

    def _state_free_sigma(self):
        return np.exp(self.log_sigma.data) if self.kind == "vector" else self._constant


class CategoricalPolicy(Module):
    """π(a|s) = softmax(z(s))_a over C choices.

    Parameters
    ----------
    sizes : sequence of int
        O, hidden widths…, C.
    activation : callable returning a Module
        Between the layers.
    rng : numpy.random.Generator
        Source of the initial weights.
    """

    def __init__(self, sizes: Sequence[int], activation: Callable, rng: np.random.Generator):
        self.logits = mlp(sizes, activation, output_gain=0.01, rng=rng)

    def forward(self, x) -> Categorical:
        """x (B, O) -> distribution over C choices."""
        return Categorical(self.logits.forward(x))

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True):
        """dy = (dlogits (B, C),)."""
        return self.logits.backward(dy[0], params, inputs)

    def predict(self, x) -> Categorical:
        return Categorical(self.logits.predict(x))


Policy = GaussianPolicy | CategoricalPolicy
