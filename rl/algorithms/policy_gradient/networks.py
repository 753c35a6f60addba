"""The policy and the value of the on-policy algorithms, as their settings ask for them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepnp import Module
from deepnp.models.mlp import ACTIVATIONS
from rl.experience.spaces import SpaceInfo
from rl.networks.encoders import network
from rl.networks.own import given_networks
from rl.networks.policies import Policy, stochastic_policy


def policy_and_value(space: SpaceInfo, c: Any, networks: Mapping[str, Any], rng: np.random.Generator) -> tuple[Policy, Module]:
    """π and V, which share no parameter.

    Parameters
    ----------
    space : SpaceInfo
    c : OnPolicyConfig
        With numbers in the place of schedules.
    networks : mapping
        Those of one's own, "policy" and "value"; see rl/networks/own.py.
    rng : numpy.random.Generator
        Source of the initial weights.
    """
    activation = ACTIVATIONS[c.activation]
    own = given_networks(networks, space.observation, policy=space.actions, value=1)
    policy = stochastic_policy(space, c.hidden, activation, c.sigma, c.initial_sigma, rng, own.get("policy"))
    return policy, own["value"] if "value" in own else network(space.observation, c.value_widths, 1, activation, rng)
