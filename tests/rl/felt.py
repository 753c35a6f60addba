"""What test_settings.py says of a field, and the fields that say how actions are drawn, and what is remembered."""

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
MEMORY: dict[str, Felt] = {
    "memory": Felt("rnn", "lstm", "parameters", dict(memory_size=3)),
    "memory_size": Felt(3, 4, "parameters", dict(memory="gru")),
    "memory_span": Felt(2, 5, "", dict(memory="attention", memory_size=8)),
    "burn_in": Felt(0, 2, "", dict(memory="gru", memory_size=3, memory_span=5)),
}
RECALL: dict[str, Felt] = {
    "recall": Felt("rnn", "lstm", "parameters", dict(recall_size=3)),
    "recall_size": Felt(3, 4, "parameters", dict(recall="gru")),
    "recall_span": Felt(2, 5, "", dict(recall="attention", recall_size=8)),
    "burn_in": Felt(0, 2, "", dict(recall="gru", recall_size=3, recall_span=5)),
}
