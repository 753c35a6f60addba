"""Stochastic policies: observation -> distribution over actions, and back from its gradients to the parameters.

Shapes: B rows, O observation, A action dimensions, C choices.
"""

from collections.abc import Callable, Sequence

import numpy as np

from deepnp import Linear, Module, Parameter, Sequential, Softplus
from deepnp.module import zeros_if_none
from deepnp.parameters import Tangents
from rl.experience.actions import ActionLayout
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.networks.branches import Bernoulli, Distribution, MultiCategorical
from rl.networks.distributions import Categorical, DiagonalGaussian
from rl.networks.encoders import network
from rl.networks.masks import masked

Activation = Callable[[], Module]


class GaussianPolicy(Module):
    """π(a|s) = N(μ(s), σ²), with σ one of three kinds.

    Parameters
    ----------
    space : SpaceInfo
    hidden : sequence of int
    activation : callable returning a Module
        Between the layers.
    sigma : {"vector", "fixed", "network"}
        A trainable vector ln σ, independent of the state; a constant; or a network of its own, σ(s)
        = softplus(…).
    initial_sigma : float
        σ at the start.
    rng : numpy.random.Generator
        Source of the initial weights.
    mean : Module, optional
        A network of one's own for μ.
    """

    def __init__(
        self,
        space: SpaceInfo,
        hidden: Sequence[int],
        activation: Activation,
        sigma: str,
        initial_sigma: float,
        rng: np.random.Generator,
        mean: Module | None = None,
    ):
        def make():
            return network(space.observation, hidden, space.actions, activation, rng, output_gain=0.01)

        self.mean = make() if mean is None else mean
        self.kind = sigma
        if sigma == "vector":
            self.log_sigma = Parameter(np.full(space.actions, np.log(initial_sigma), np.float32))
        elif sigma == "fixed":
            self._constant = np.full(space.actions, initial_sigma, np.float32)
        elif sigma == "network":
            body = make()
            _last(body).bias.data[...] = initial_sigma + np.log(-np.expm1(-initial_sigma))  # softplus⁻¹
            self.sigma = Sequential(body, Softplus())
        else:
            raise ValueError(f'expected sigma "vector", "fixed" or "network", given {sigma!r}')
        self._cache: np.ndarray | None = None  # σ of the last forward pass

    def forward(self, x: Observations) -> DiagonalGaussian:
        """x (B, …) -> distribution over (B, A)."""
        mean = self.mean.forward(x)
        self._cache = self.sigma.forward(x) if self.kind == "network" else self.state_free_sigma()
        return DiagonalGaussian(mean, self._cache)

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy = (dmean (B, A), dsigma like sigma)."""
        dmean, dsigma = dy
        dx = self.mean.backward(dmean, params, inputs)
        if self.kind == "vector" and params:
            self.log_sigma.grad += dsigma * self._cache  # σ = e^{ln σ}: dlnσ = σ dσ
        elif self.kind == "network":
            dx_sigma = self.sigma.backward(dsigma, params, inputs)
            dx = dx + dx_sigma if inputs else None
        return dx

    def predict(self, x: Observations) -> DiagonalGaussian:
        """Like `forward`, remembering nothing."""
        mean = self.mean.predict(x)
        return DiagonalGaussian(mean, self.sigma.predict(x) if self.kind == "network" else self.state_free_sigma())

    def _tangent(self, v: Tangents, vx) -> tuple[np.ndarray, np.ndarray]:
        """Those of μ (B, A), and of σ, shaped as it is."""
        vmean, sigma = self.mean.tangent(v, vx), self._cache
        if self.kind == "vector":
            return vmean, v[self.log_sigma] * sigma  # σ = e^{ln σ}
        return vmean, zeros_if_none(self.sigma.tangent(v, vx) if self.kind == "network" else None, sigma)

    def state_free_sigma(self) -> np.ndarray:
        """σ (A,) of the kinds that do not depend on the state."""
        return np.exp(self.log_sigma.data) if self.kind == "vector" else self._constant


class ChoicePolicy(Module):
    """π(a|s) from logits z(s): softmax over the choices of each branch, or a switch for each.

    What an action mask excludes has probability 0 (masks.py), and the gradient of its logit is 0: the
    distribution's own is.

    Parameters
    ----------
    space : SpaceInfo
        With Discrete, MultiDiscrete or MultiBinary actions.
    hidden : sequence of int
    activation : callable returning a Module
        Between the layers.
    rng : numpy.random.Generator
        Source of the initial weights.
    logits : Module, optional
        A network of one's own for z.
    """

    def __init__(
        self,
        space: SpaceInfo,
        hidden: Sequence[int],
        activation: Activation,
        rng: np.random.Generator,
        logits: Module | None = None,
    ):
        self.action, self.masked = space.action, space.observation.mask is not None
        own = network(space.observation, hidden, space.actions, activation, rng, output_gain=0.01) if logits is None else logits
        self.logits = own

    def forward(self, x: Observations) -> Distribution:
        """x (B, …) -> distribution over the choices."""
        return self._distribution(self.logits.forward(x), x)

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy = (dlogits (B, C),)."""
        return self.logits.backward(dy[0], params, inputs)

    def predict(self, x: Observations) -> Distribution:
        """Like `forward`, remembering nothing."""
        return self._distribution(self.logits.predict(x), x)

    def _tangent(self, v: Tangents, vx) -> tuple[np.ndarray]:
        """That of the logits (B, C)."""
        return (self.logits.tangent(v, vx),)

    def _distribution(self, logits, x):
        return choices(self.action, masked(self.action, logits, x[-1]) if self.masked else logits)


Policy = GaussianPolicy | ChoicePolicy


def stochastic_policy(
    space: SpaceInfo,
    hidden: Sequence[int],
    activation: Activation,
    sigma: str,
    initial_sigma: float,
    rng: np.random.Generator,
    body: Module | None = None,
) -> Policy:
    """The policy that suits an action space: Gaussian for a Box, over choices for any other.

    Parameters
    ----------
    space, hidden, activation, rng
        See both.
    sigma, initial_sigma
        See `GaussianPolicy`; choices have none.
    body : Module, optional
        A network of one's own for μ, or for z.
    """
    if space.action.kind == "Box":
        return GaussianPolicy(space, hidden, activation, sigma, initial_sigma, rng, body)
    return ChoicePolicy(space, hidden, activation, rng, body)


def choices(action: ActionLayout, logits: np.ndarray) -> Distribution:
    """The distribution over an action space of choices that logits (B, C) stand for."""
    if action.kind == "Discrete":
        return Categorical(logits)
    return Bernoulli(logits) if action.kind == "MultiBinary" else MultiCategorical(logits, action.choices)


def _last(body: Module) -> Linear:
    """The layer that a network ends with."""
    *_, (_, layer) = body.children()
    return layer if isinstance(layer, Linear) else _last(layer)
