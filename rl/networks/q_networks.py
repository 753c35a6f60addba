"""Networks of Q(s, ·): what each choice is worth, or numbers that say how its return is distributed.

    plain       one network, observations -> (B, C·Z)
    dueling     two heads on a common trunk, see dueling.py

Shapes: B rows, C choices, Z numbers of a choice.
"""

import math
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


def q_network(space: SpaceInfo, c: Any, numbers: int, rng: np.random.Generator) -> Module:
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
    heads = (mlp((features, width, n), activation, rng=rng) for n in (numbers, outputs))
    return Dueling(Sequential(below, activation()), *heads, space.actions)


def allowed(space: SpaceInfo, values: np.ndarray, observations: Observations) -> np.ndarray:
    """Values (B, C) of which those of excluded choices are −∞; where all are excluded, they are left as they are."""
    mask = space.observation.mask_of(observations)
    return values if mask is None else masked(space.action, values, mask)


def drawn(values: np.ndarray, inverse_temperature: float, rng: np.random.Generator) -> np.ndarray:
    """Choices (B,) with probabilities softmax(τQ), of values (B, C).

    The largest of τQ plus Gumbel noise is such a draw (Gumbel 1954): no sum, no overflow.
    """
    return (values.dtype.type(inverse_temperature) * values + rng.gumbel(size=values.shape)).argmax(axis=1)


def soft_maximum(values: np.ndarray, inverse_temperature: float) -> np.ndarray:
    """(1/τ) ln Σ_a e^{τQ(a)} of values (B, C): (B,). The largest is taken out first: same sum, no overflow."""
    largest, tau = values.max(axis=1, keepdims=True), values.dtype.type(inverse_temperature)
    return largest[:, 0] + np.log(np.exp(tau * (values - largest)).sum(axis=1)) / tau
