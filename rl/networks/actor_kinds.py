"""The kinds of policy that SAC and its variants can have, by name.

"gaussian"       a squashed Gaussian
"flow"           a normalizing flow, see flow_policy.py
"variational"    actions through latent variables, see variational_policy.py
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from deepnp import Module, Sequential
from rl.experience.spaces import SpaceInfo
from rl.networks.actors import SquashedGaussianPolicy, deterministic_policy
from rl.networks.flow_policy import FlowPolicy
from rl.networks.variational_policy import VariationalPolicy

Actor = SquashedGaussianPolicy | FlowPolicy | VariationalPolicy
Maker = Callable[[SpaceInfo, Any, Callable[[], Module], np.random.Generator, Module | None], Actor]


def deterministic(
    space: SpaceInfo, c: Any, activation: Callable[[], Module], rng: np.random.Generator, own: Module | None
) -> Sequential:
    """The policy of DDPG and its variants."""
    return deterministic_policy(space, c.hidden, activation, rng, own, c.actor_gain)


def _gaussian(space, c, activation, rng, own):
    return SquashedGaussianPolicy(space, c.hidden, activation, c.shared, rng, own, c.actor_gain)


def _flow(space, c, activation, rng, own):
    _check(own, c)
    return FlowPolicy(space, c.hidden, activation, c.flow_layers, rng, c.actor_gain)


def _variational(space, c, activation, rng, own):
    _check(own, c)
    return VariationalPolicy(space, c.hidden, activation, c.latent, rng, c.actor_gain)


def _check(own, c):
    if own is not None:
        raise ValueError(f'expected actor="gaussian" with a policy of one\'s own, given actor={c.actor!r}')


ACTORS: dict[str, Maker] = {"gaussian": _gaussian, "flow": _flow, "variational": _variational}
