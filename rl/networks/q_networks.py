"""Networks of Q(s, ·): what each choice is worth, or numbers that say how its return is distributed.

    outputs     y(s) (B, C·Z), choice after choice: Q itself, logits of a support, or quantiles
    values      Q(s, ·) = mean(y) (B, C), −∞ for choices that are not allowed
    plain       one network for y; dueling: two heads on a common trunk, see dueling.py

Shapes: B rows, C choices, Z numbers of a choice.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from deepnp import Module, Sequential
from deepnp.models import mlp
from deepnp.models.mlp import ACTIVATIONS
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.networks.dueling import Dueling
from rl.networks.encoders import network
from rl.networks.masks import masked

Mean = Callable[[np.ndarray], np.ndarray]  # y (B, C·Z) -> Q (B, C)


class QNetwork(Module):
    """Q(s, ·) of a network; where it predicts, it gives values, and where it learns, outputs.

    Parameters
    ----------
    space : SpaceInfo
        With Discrete actions.
    body : Module
        Observations (B, …) -> y (B, C·Z).
    mean : callable, optional
        What makes Q of y; None: y is Q.
    """

    def __init__(self, space: SpaceInfo, body: Module, mean: Mean | None = None):
        self.action, self.masked = space.action, space.observation.mask is not None
        self.body, self.mean = body, mean

    def forward(self, x: Observations) -> np.ndarray:
        """x (B, …) -> y (B, C·Z)."""
        return self.body.forward(x)

    def backward(self, dy: np.ndarray, params: bool = True, inputs: bool = True) -> Any:
        return self.body.backward(dy, params, inputs)

    def predict(self, x: Observations) -> np.ndarray:
        """x (B, …) -> Q (B, C), −∞ for what is excluded; where all is excluded, nothing is."""
        y = self.body.predict(x)
        return self.allowed(y if self.mean is None else self.mean(y), x)

    def allowed(self, q: np.ndarray, x: Observations) -> np.ndarray:
        """Values Q (B, C) of x (B, …), −∞ for what a mask excludes."""
        return masked(self.action, q, x[-1]) if self.masked else q

    def outputs(self, x: Observations) -> np.ndarray:
        """y (B, C·Z), remembering nothing."""
        return self.body.predict(x)

    def _tangent(self, v, vx):
        return self.body.tangent(v, vx)


class SupportMean:
    """Q = Σ_z z·softmax(logits)_z, of logits of a support of returns.

    Parameters
    ----------
    support : array (Z,)
        z.
    """

    def __init__(self, support: np.ndarray):
        self.support = support

    def __call__(self, y: np.ndarray) -> np.ndarray:
        return probabilities(y, len(self.support)) @ self.support.astype(y.dtype)


class QuantileMean:
    """Q = the mean of the quantiles of a return.

    Parameters
    ----------
    quantiles : int
        Z.
    """

    def __init__(self, quantiles: int):
        self.quantiles = quantiles

    def __call__(self, y: np.ndarray) -> np.ndarray:
        return y.reshape(len(y), -1, self.quantiles).mean(axis=2)


def probabilities(y: np.ndarray, numbers: int) -> np.ndarray:
    """softmax of the logits of each choice: y (B, C·Z) -> (B, C, Z)."""
    logits = y.reshape(len(y), -1, numbers)
    shares = np.exp(logits - logits.max(axis=2, keepdims=True))
    return shares / shares.sum(axis=2, keepdims=True)


def q_body(space: SpaceInfo, c: Any, numbers: int, rng: np.random.Generator) -> Module:
    """A network of C·`numbers` outputs.

    Parameters
    ----------
    space : SpaceInfo
        With Discrete actions.
    c : ValueConfig
    numbers : int
        Z.
    rng : numpy.random.Generator
        Source of the initial weights.
    """
    activation, outputs = ACTIVATIONS[c.activation], space.actions * numbers
    if not c.dueling:
        return network(space.observation, c.hidden, outputs, activation, rng)
    *inner, features, width = c.hidden
    below = network(space.observation, inner, features, activation, rng, output_gain=math.sqrt(2))
    value, advantage = (mlp((features, width, n), activation, rng=rng) for n in (numbers, outputs))
    return Dueling(Sequential(below, activation()), value, advantage, space.actions)


def double_value(policy: QNetwork, target: QNetwork, x: Observations) -> np.ndarray:
    """Q̄(s, argmax_a Q(s, a)) of x (B, …): (B,).

    The network chooses, and its target says what that is worth (van Hasselt et al. 2016).
    """
    values = target.predict(x)
    return values[np.arange(len(values)), policy.predict(x).argmax(axis=1)]


def drawn(values: np.ndarray, inverse_temperature: float, rng: np.random.Generator) -> np.ndarray:
    """Choices (B,) with probabilities softmax(τQ), of values (B, C).

    The largest of τQ plus Gumbel noise is such a draw (Gumbel 1954): no sum, no overflow.
    """
    return (values.dtype.type(inverse_temperature) * values + rng.gumbel(size=values.shape)).argmax(axis=1)


def soft_maximum(values: np.ndarray, inverse_temperature: float) -> np.ndarray:
    """(1/τ) ln Σ_a e^{τQ(a)} of values (B, C): (B,). The largest is taken out first: same sum, no overflow."""
    largest, tau = values.max(axis=1, keepdims=True), values.dtype.type(inverse_temperature)
    return largest[:, 0] + np.log(np.exp(tau * (values - largest)).sum(axis=1)) / tau
