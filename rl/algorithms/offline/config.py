"""Settings of every algorithm that learns from a data set, and the critics that they ask for."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from rl.config import check_config, rate, setting
from rl.experience.normalizers import NORMALIZERS
from rl.experience.spaces import SpaceInfo
from rl.networks.critics import Critics
from rl.networks.encoders import network
from rl.schedules import Rate


@dataclass(frozen=True)
class DataConfig:
    """Each field: its default, its meaning with its symbol, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    batch_size: int = setting(256, "transitions of an update", 1, 1_000_000)
    memory: int = setting(1_000_000, "transitions that the data set holds, those of the environment among them", 1)
    offline_steps: int | None = setting(
        None, "updates on a data set that was given, before the environment is stepped; None: all", 0
    )
    warmup: int = setting(5_000, "steps with random actions, before any update, where no data set was given", 0)
    lr: Rate = rate(3e-4, "Adam's learning rate, α", 0, 10)
    hidden: tuple[int, ...] = setting((256, 256), "widths of all networks' hidden layers")
    activation: str = setting("relu", "between the layers", choices=tuple(ACTIVATIONS))
    normalize_observations: bool = setting(True, "normalisation of what the networks read, by the data set's moments")
    normalizer: str = setting("standard", "normalisation by mean and deviation, or by the range seen", choices=tuple(NORMALIZERS))
    observation_clip: float = setting(10.0, "bound of normalised observations", 1e-6)

    def __post_init__(self):
        check_config(self)
        if self.batch_size > self.memory:
            raise ValueError(f"expected batch_size <= memory, given {self.batch_size} and {self.memory}")


@dataclass(frozen=True)
class OfflineConfig(DataConfig):
    """The same for algorithms that learn values, with targets that follow them."""

    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    tau: Rate = rate(0.005, "the networks' share in each move of their targets, τ", 0, 1)

    @property
    def critic_rate(self) -> Rate:
        """The critics' learning rate: that of all."""
        return self.lr


def twin_critics(space: SpaceInfo, c: Any, rng: np.random.Generator) -> Critics:
    """Two critics of state and action, with targets, as the settings ask for them."""
    activation = ACTIVATIONS[c.activation]
    made = [network(space.observation, c.hidden, 1, activation, rng, beside=space.actions) for _ in range(2)]
    return Critics(made, c.lr)
