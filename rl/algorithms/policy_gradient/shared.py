"""The policy and the value of PPO on one trunk, as its settings ask for them."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from deepnp import Sequential
from deepnp.models.mlp import ACTIVATIONS
from rl.algorithms.policy_gradient.networks import policy_and_value
from rl.config import with_rates
from rl.experience.spaces import SpaceInfo
from rl.networks.encoders import network
from rl.networks.memory import features_layout
from rl.networks.shared import SharedPolicy, SharedValue


def shared_policy_and_value(
    space: SpaceInfo, c: Any, networks: Mapping[str, Any], rng: np.random.Generator
) -> tuple[SharedPolicy, SharedValue]:
    """π and V over one trunk, which has all hidden layers, and convolutions where there are images; the heads are linear.

    Parameters
    ----------
    space : SpaceInfo
    c : PPOConfig
        With numbers in the place of schedules.
    networks : mapping
        Those of one's own, of which there must be none.
    rng : numpy.random.Generator
        Source of the initial weights.

    Raises
    ------
    ValueError
        For networks of one's own.
    """
    if networks:
        raise ValueError(f"expected no networks of one's own beside shared=True, given {sorted(networks)}")
    activation = ACTIVATIONS[c.activation]
    *inner, width = c.hidden
    below = network(space.observation, inner, width, activation, rng, output_gain=math.sqrt(2))
    features = replace(space, observation=features_layout(space.observation, width))
    linear: Any = {"hidden": (), "value_hidden": None}
    heads = policy_and_value(features, with_rates(c, linear), networks, rng)
    shared = SharedPolicy(Sequential(below, activation()), *heads, masked=space.observation.mask is not None)
    return shared, SharedValue(shared)
