"""Settings of every algorithm that learns Q(s, a) from a replay memory, and the critics that they ask for."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnp import Module
from deepnp.models.mlp import ACTIVATIONS
from rl.algorithms.replay_config import ReplayConfig
from rl.config import rate, setting
from rl.experience.spaces import SpaceInfo
from rl.networks.critic_networks import GROUPS, NORMALIZATIONS
from rl.networks.critics import OPTIMIZERS, Critics
from rl.networks.memory import MEMORIES
from rl.networks.own import check_apart, own_critics
from rl.networks.recalling import RecallingActor, check_none_of_ones_own, critic_of
from rl.schedules import Rate

NORMALIZED = (*NORMALIZATIONS, "l2", "spectral")
WITHOUT_RECALL = dict(n_step=1, priority_exponent=0.0, newest=0, hindsight=None, device="cpu")  # of single transitions; and of CuPy


@dataclass(frozen=True)
class CriticConfig(ReplayConfig):
    """Each field: its default, its meaning with its symbol, its valid range."""

    tau: Rate = rate(0.005, "the networks' share in each move of their targets, τ", 0, 1)
    lr: Rate = rate(3e-4, "Adam's learning rate, α", 0, 10)
    critic_lr: Rate | None = rate(None, "that of the critics; None: lr", 0, 10)
    clip_targets: bool = setting(False, "targets held in [−1/(1 − γ), 0]: right for rewards of −1 and 0, and for no others")
    hidden: tuple[int, ...] = setting((256, 256), "widths of all networks' hidden layers")
    critic_hidden: tuple[int, ...] | None = setting(None, "widths of the critics' hidden layers; None: hidden")
    activation: str = setting("relu", "between the layers", choices=tuple(ACTIVATIONS))
    critic_normalization: str | None = setting(
        None,
        "between the critics' hidden layers and activations; l2: of their last features; spectral: of their inner weights",
        choices=NORMALIZED,
    )
    critic_affine: bool = setting(True, "whether the critics' normalisation has a scale and a shift of its own")
    critic_blocks: tuple[int, ...] | None = setting(None, "inner width of each residual block of the critics; None: perceptrons")
    block_width: int = setting(1024, "outer width of all critic_blocks", 1, 8192)
    critic_gain: float = setting(1.0, "gain of the critics' last orthogonal weights", 1e-6, 100)
    critic_optimizer: str = setting("adam", "what the critics descend with", choices=tuple(OPTIMIZERS))
    targets: bool = setting(True, "target networks that follow; False: the networks are their own targets")
    asymmetry: float = setting(0.5, "weight of values that are too high against too low ones in the critics' loss, α", 0, 1)
    error_limit: float | None = setting(None, "TD error beyond which the critics' loss is linear (Huber), κ; None: never", 1e-9)
    device: str = setting("cpu", "where the networks are; cuda: on a GPU, by CuPy", choices=("cpu", "cuda"))

    def __post_init__(self):
        super().__post_init__()
        if self.critic_normalization == "group" and any(width % GROUPS or width == GROUPS for width in self.normalized_widths):
            given = f"for as many groups of two or more, given {self.normalized_widths}"
            raise ValueError(f"expected the critics' normalised widths as multiples of {GROUPS}, {given}")
        if self.critic_normalization == "spectral" and (self.critic_blocks or len(self.critic_widths) < 2):
            given = f"blocks {self.critic_blocks}" if self.critic_blocks else f"hidden layers {self.critic_widths}"
            raise ValueError(f"expected perceptrons with inner weights, of two hidden layers or more, to normalise, given {given}")
        if self.critic_blocks and self.critic_hidden is not None:
            given = f"{self.critic_hidden} and {self.critic_blocks}"
            raise ValueError(f"expected critic_hidden or critic_blocks, of which critics can have but one, given {given}")
        if self.clip_targets and self.gamma == 1:
            raise ValueError("expected gamma < 1 where targets are clipped: [−1/(1 − γ), 0] has no end, given gamma 1")

    @property
    def critic_widths(self) -> tuple[int, ...]:
        """Widths of the critics' hidden layers."""
        return self.hidden if self.critic_hidden is None else self.critic_hidden

    @property
    def normalized_widths(self) -> tuple[int, ...]:
        """Widths of what the critics' normalisation reads."""
        return (self.block_width,) if self.critic_blocks else self.critic_widths

    @property
    def critic_rate(self) -> Rate:
        """The critics' learning rate."""
        return self.lr if self.critic_lr is None else self.critic_lr

    @property
    def value_bounds(self) -> tuple[float, float] | None:
        """What a discounted sum of rewards can be, where the settings say that it is known."""
        return (-1 / (1 - self.gamma), 0.0) if self.clip_targets else None


@dataclass(frozen=True)
class OffPolicyConfig(CriticConfig):
    """The same for algorithms that have a policy network besides."""

    actor_gain: float = setting(0.01, "gain of the policy's last orthogonal weights", 1e-6, 100)
    recall: str | None = setting(None, "what carries the past; None: nothing, each observation tells the state", choices=MEMORIES)
    recall_size: int = setting(64, "values of what recall carries, H", 1, 100_000)
    recall_span: int = setting(32, "steps of a sequence that recall learns from; with attention also the window, k", 1, 100_000)
    burn_in: int = setting(0, "steps that are read before each sequence, without learning", 0, 100_000)

    def __post_init__(self):
        if isinstance(self.memory, str) and self.memory in MEMORIES:
            given = f'given {self.memory!r}: that is {type(self).__name__}(recall="{self.memory}")'
            raise ValueError(f"expected {type(self).__name__}.memory as the transitions that the replay memory holds, {given}")
        super().__post_init__()
        check_recall(self)


def check_recall(c: OffPolicyConfig) -> None:
    """Raise ValueError for settings that memory does not go with."""
    if c.recall is None:
        if c.burn_in:
            raise ValueError(f"expected burn_in 0 without recall, given {c.burn_in}")
        return
    for name, value in WITHOUT_RECALL.items():
        if getattr(c, name) != value:
            raise ValueError(f"expected {name} {value!r} with recall={c.recall!r}, given {getattr(c, name)!r}")
    if c.recall == "attention" and (c.recall_size % 8 or c.recall_span < 2):
        given = f"{c.recall_size} and {c.recall_span}"
        raise ValueError(f"expected recall_size as a multiple of 8 and recall_span of 2 or more for attention, given {given}")


def make_critics(
    space: SpaceInfo, config: Any, count: int, rng: np.random.Generator, policy: Module | None, own: Any = None
) -> Critics:
    """The critics that the settings ask for, or those that `own` makes; they share nothing with the policy, if there is one.

    `config` is a CriticConfig with numbers in the place of schedules.
    """
    if own is None:
        made = [critic_of(space, config, space.actions, rng, policy) for _ in range(count)]
    else:
        if isinstance(policy, RecallingActor):
            check_none_of_ones_own("critic", own, config.recall)
        made = own_critics(own, count, space.observation, space.actions, rng)
        policies = {} if policy is None else {"policy": policy}
        check_apart(policies | {f"critic {i}": critic for i, critic in enumerate(made, 1)})
    return Critics(
        [critic.to(config.device) for critic in made],
        config.critic_rate,
        config.value_bounds,
        optimizer=config.critic_optimizer,
        targets=config.targets,
        asymmetry=config.asymmetry,
        limit=math.inf if config.error_limit is None else config.error_limit,
    )
