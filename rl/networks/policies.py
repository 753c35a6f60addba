"""Stochastic policies: observation -> distribution over actions, and back from its gradients to the parameters.

Shapes: B rows, O observation, A action dimensions, C choices.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from deepnp import Linear, Module, Parameter, Sequential, Softplus
from deepnp.module import zeros_if_none
from deepnp.parameters import Tangents
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.networks.branches import Distribution
from rl.networks.distributions import DiagonalGaussian
from rl.networks.encoders import network
from rl.networks.gsde import StateDependentPolicy
from rl.networks.heads import FixedSigma, HeadSettings, choices, head_of

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
    settings : HeadSettings, optional
        What else is to be said of σ, and of the distribution.
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
        settings: HeadSettings | None = None,
    ):
        def make(hidden):
            return network(space.observation, hidden, space.actions, activation, rng, output_gain=0.01)

        self.mean = make(hidden) if mean is None else mean
        self.kind = sigma
        self.settings = c = replace(settings or HeadSettings(), sigma=sigma, initial_sigma=initial_sigma)
        if sigma == "vector":
            self.log_sigma = Parameter(np.full(space.actions, np.log(initial_sigma), np.float32))
        elif sigma == "fixed":
            self.fixed = FixedSigma(space.actions, c)
        elif sigma == "network":
            body = make(hidden if c.sigma_hidden is None else c.sigma_hidden)
            _last(body).bias.data[...] = c.raw_sigma()
            self.sigma = Sequential(body, Softplus(beta=c.sigma_beta, scale=c.sigma_scale))
        else:
            raise ValueError(f'expected sigma "vector", "fixed" or "network", given {sigma!r}')
        self._cache: np.ndarray | None = None  # σ of the last forward pass

    def forward(self, x: Observations) -> DiagonalGaussian:
        """x (B, …) -> distribution over (B, A)."""
        mean = self.mean.forward(x)
        self._cache = self.sigma.forward(x) if self.kind == "network" else self.state_free_sigma()
        return self.settings.gaussian(mean, self._cache)

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
        return self.settings.gaussian(mean, self.sigma.predict(x) if self.kind == "network" else self.state_free_sigma())

    def _tangent(self, v: Tangents, vx) -> tuple[np.ndarray, np.ndarray]:
        """Those of μ (B, A), and of σ, shaped as it is."""
        vmean, sigma = self.mean.tangent(v, vx), self._cache
        if self.kind == "vector":
            return vmean, v[self.log_sigma] * sigma  # σ = e^{ln σ}
        return vmean, zeros_if_none(self.sigma.tangent(v, vx) if self.kind == "network" else None, sigma)

    def state_free_sigma(self) -> np.ndarray:
        """σ (A,) of the kinds that do not depend on the state."""
        return np.exp(self.log_sigma.data) if self.kind == "vector" else self.fixed.sigma


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
        return choices(self.action, logits, x[-1] if self.masked else None)


class HeadPolicy(Module):
    """One network, and a head that makes a distribution of its outputs: for Beta distributions, and for a Dict or a Tuple.

    Parameters
    ----------
    space : SpaceInfo
    hidden : sequence of int
    activation : callable returning a Module
        Between the layers.
    settings : HeadSettings
    rng : numpy.random.Generator
        Source of the initial weights.
    body : Module, optional
        A network of one's own.
    """

    def __init__(
        self,
        space: SpaceInfo,
        hidden: Sequence[int],
        activation: Activation,
        settings: HeadSettings,
        rng: np.random.Generator,
        body: Module | None = None,
    ):
        head, self.masked = head_of(space.action, settings), space.observation.mask is not None
        self.body = network(space.observation, hidden, head.outputs, activation, rng, output_gain=0.01) if body is None else body
        self.head = head

    def forward(self, x: Observations) -> Distribution:
        """x (B, …) -> distribution over the actions."""
        return self.head.forward((self.body.forward(x), self._mask(x)))

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy: the gradient of each of the distribution's parameters."""
        return self.body.backward(self.head.backward(dy, params), params, inputs)

    def predict(self, x: Observations) -> Distribution:
        """Like `forward`, remembering nothing."""
        return self.head.predict((self.body.predict(x), self._mask(x)))

    def _tangent(self, v: Tangents, vx) -> tuple[np.ndarray, ...]:
        return self.head.tangent(v, self.body.tangent(v, vx))

    def _mask(self, x):
        return x[-1] if self.masked else None


Policy = GaussianPolicy | ChoicePolicy | HeadPolicy | StateDependentPolicy


def stochastic_policy(
    space: SpaceInfo,
    hidden: Sequence[int],
    activation: Activation,
    settings: HeadSettings,
    rng: np.random.Generator,
    body: Module | None = None,
) -> Policy:
    """The policy that suits an action space.

    Parameters
    ----------
    space, hidden, activation, rng
        See all three.
    settings : HeadSettings
        How actions of a Box are drawn.
    body : Module, optional
        A network of one's own for μ, for z, or for all of a head's outputs: `outputs_of` says how
        many.

    Raises
    ------
    ValueError
        For state-dependent exploration with a network of one's own, or of another space than a Box.
    """
    if settings.sde_interval is not None:
        if space.action.kind != "Box" or body is not None:
            given = f"{space.action.kind}{'' if body is None else ', and a network of one’s own'}"
            raise ValueError(
                f"expected actions in a Box, and the algorithm's own network, for state-dependent exploration, given {given}"
            )
        return StateDependentPolicy(space, hidden, activation, settings, rng)
    if space.action.parts or (space.action.kind == "Box" and settings.kind == "beta"):
        return HeadPolicy(space, hidden, activation, settings, rng, body)
    if space.action.kind == "Box":
        return GaussianPolicy(space, hidden, activation, settings.sigma, settings.initial_sigma, rng, body, settings)
    return ChoicePolicy(space, hidden, activation, rng, body)


def outputs_of(space: SpaceInfo, settings: HeadSettings) -> int:
    """How many values the network of a policy gives; a Gaussian's σ has a network of its own."""
    several = space.action.parts or settings.kind == "beta"
    return head_of(space.action, settings).outputs if several else space.actions


def _last(body: Module) -> Linear:
    """The layer that a network ends with."""
    *_, (_, layer) = body.children()
    return layer if isinstance(layer, Linear) else _last(layer)
