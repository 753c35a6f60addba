"""What the pages share: a policy without a value, and the generation of candidates that is being judged."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from rl.experience.generation import Generation
from rl.experience.spaces import SpaceInfo
from rl.networks.heads import HeadSettings
from rl.networks.own import given_networks
from rl.networks.policies import Policy, outputs_of, stochastic_policy

DETERMINISTIC = HeadSettings(sigma="fixed")  # who acts by the most probable action needs no σ


def lone_policy(space: SpaceInfo, c: Any, head: HeadSettings, networks: Mapping[str, Any], rng: np.random.Generator) -> Policy:
    """A policy network that no value stands beside.

    Parameters
    ----------
    space : SpaceInfo
    c : config
        With `hidden` and `activation`.
    head : HeadSettings
        How actions are drawn.
    networks : mapping
        Those of one's own: "policy"; see rl/networks/own.py.
    rng : numpy.random.Generator
        Source of the initial weights.
    """
    own = given_networks(networks, space.observation, policy=outputs_of(space, head))
    return stochastic_policy(space, c.hidden, ACTIVATIONS[c.activation], head, rng, own.get("policy"))


def empty_generation(policy: Policy, population: int, c: Any) -> Generation:
    """Where candidates for this policy are judged, as the settings (a SearchConfig) ask for it."""
    return Generation(population, len(policy.flat), c.episodes, c.gamma, c.horizon)


def report(scores: np.ndarray) -> dict[str, float]:
    """Metrics of a generation's returns (P,)."""
    return {"candidate_return": float(scores.mean()), "best_return": float(scores.max())}
