"""Settings of every algorithm that learns a model of the dynamics, and the model that they ask for."""

from dataclasses import dataclass

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from rl.config import setting
from rl.experience.spaces import SpaceInfo
from rl.networks.dynamics_fit import Schedule
from rl.networks.learned_model import LearnedModel

KINDS = ("deterministic", "gaussian")


@dataclass(frozen=True)
class ModelConfig:
    """Each field: its default, its meaning with its symbol, its valid range."""

    model: str = setting("gaussian", "what members predict: a mean, or a mean and a variance", choices=KINDS)
    members: int = setting(5, "networks of the ensemble, E", 1, 1000)
    elites: int | None = setting(None, "members that count, the best on held-out rows; None: all", 1, 1000)
    model_hidden: tuple[int, ...] = setting((200, 200, 200), "widths of the members' hidden layers")
    model_activation: str = setting("silu", "between their layers", choices=tuple(ACTIVATIONS))
    model_lr: float = setting(1e-3, "Adam's learning rate for the members", 0, 10)
    model_batch_size: int = setting(256, "transitions of each member's gradient step", 1, 1_000_000)
    model_interval: int = setting(250, "environment steps between fits of the model", 1)
    model_epochs: int = setting(50, "passes over the data in a fit, at most", 1, 100_000)
    model_patience: int = setting(5, "passes without a better held-out error, after which a fit stops", 0, 100_000)
    holdout: float = setting(0.1, "share of the transitions that are held out", 0, 0.9)
    model_ends: bool = setting(True, "whether imagined episodes end where the model says so; False: they never do")

    def __post_init__(self):
        super().__post_init__()
        if self.elites is not None and self.elites > self.members:
            raise ValueError(f"expected elites <= members, given {self.elites} and {self.members}")
        for name in ("recall", "hindsight"):
            if getattr(self, name, None) is not None:
                given = getattr(self, name)
                raise ValueError(f"expected {name} None with a model, which imagines single steps, given {given!r}")


def make_model(space: SpaceInfo, c: ModelConfig, rng: np.random.Generator) -> LearnedModel:
    """The model that the settings ask for."""
    elites = c.members if c.elites is None else c.elites
    plan = Schedule(c.model_batch_size, c.model_epochs, c.holdout, c.model_patience)
    shape = space, c.model_hidden, c.model_activation, c.members, elites, c.model == "gaussian"
    return LearnedModel(*shape, c.model_lr, plan, c.model_ends, rng)
