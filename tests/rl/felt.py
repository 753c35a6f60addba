"""What test_settings.py says of a field, and the fields that say how actions are drawn."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium import spaces

from tests.rl.references.worlds import World


@dataclass(frozen=True)
class Felt:
    """A field's two values, what it needs besides, and what rises ("name") or falls ("-name") with it."""

    low: Any
    high: Any
    measure: str = ""
    besides: dict = field(default_factory=dict)
    env: Callable = World


class Switches(World):
    """The same with three switches."""

    def __init__(self):
        super().__init__()
        self.action_space = spaces.MultiBinary(3)

    def step(self, action):
        return super().step(np.array([action[0] - action[1], action[2] / 2]))


ACTING: dict[str, Felt] = {
    "head": Felt("gaussian", "beta", "parameters"),
    "squash": Felt("clip", "tanh"),
    "anneal_sigma": Felt(0.1, 0.9, "", dict(sigma="fixed")),
    "sigma_hidden": Felt((5,), (5, 5), "parameters", dict(sigma="network")),
    "sigma_beta": Felt(1.0, 1.2, "", dict(sigma="network")),
    "sigma_scale": Felt(1.0, 6.0, "", dict(sigma="network")),
    "sde_interval": Felt(1, 4),
    "choose": Felt(1, 2, env=Switches),
}
