"""The policy and the value of the on-policy algorithms, as their settings ask for them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from deepnp import Module
from deepnp.models import mlp
from deepnp.models.mlp import ACTIVATIONS
from rl.experience.spaces import SpaceInfo
from rl.networks.encoders import network
from rl.networks.heads import HeadSettings
from rl.networks.memories import memory_of
from rl.networks.memory import Remembering, features_layout
from rl.networks.own import given_networks
from rl.networks.policies import Policy, outputs_of, stochastic_policy
from rl.networks.recall import Recall


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

    Raises
    ------
    ValueError
        For networks of one's own beside `c.memory`.
    """
    if c.memory:
        return _with_memory(space, c, networks, rng)
    activation = ACTIVATIONS[c.activation]
    settings = HeadSettings.of(c)
    own = given_networks(networks, space.observation, policy=outputs_of(space, settings), value=1)
    policy = stochastic_policy(space, c.hidden, activation, settings, rng, own.get("policy"))
    return policy, own["value"] if "value" in own else network(space.observation, c.value_widths, 1, activation, rng)


def recall_of(c: Any, policy: Any, value: Module) -> Recall | None:
    """What carries the states of both networks along, where they have memory."""
    networks = {"policy": policy, "value": value}
    return Recall(networks, c.memory_span, c.burn_in) if c.memory else None


def _with_memory(space, c, networks, rng):
    """The same, each network with a memory of its own between encoder and head."""
    if networks:
        raise ValueError(f"expected no networks of one's own beside memory={c.memory!r}, given {sorted(networks)}")
    head_space = replace(space, observation=features_layout(space.observation, c.memory_size))
    head = stochastic_policy(head_space, (), ACTIVATIONS[c.activation], HeadSettings.of(c), rng)
    memory, activation = (c.memory_size, c.memory_span), ACTIVATIONS[c.activation]
    reading = memory_of("policy", c.memory, space.observation, c.hidden, *memory, activation, rng)
    policy = Remembering(reading, head, masked=space.observation.mask is not None)
    reading = memory_of("value", c.memory, space.observation, c.value_widths, *memory, activation, rng)
    value = Remembering(reading, mlp((c.memory_size, 1), rng=rng))
    return cast(Policy, policy), value  # it gives and takes what its head does
