"""Settings of every off-policy actor-critic algorithm, and the critics and the memory that they ask for."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnp import Module
from deepnp.models.mlp import ACTIVATIONS
from rl.config import check_config, rate, setting
from rl.experience.episodes import Episodes
from rl.experience.hindsight import REWARDS, STRATEGIES
from rl.experience.prioritized import Priorities
from rl.experience.replay import ReplayMemory
from rl.experience.spaces import SpaceInfo
from rl.networks.critic_networks import GROUPS, NORMALIZATIONS, critic_network
from rl.networks.critics import OPTIMIZERS, Critics
from rl.networks.own import check_apart, own_critics
from rl.schedules import Rate

NORMALIZED = (*NORMALIZATIONS, "spectral")


@dataclass(frozen=True)
class OffPolicyConfig:
    """Each field: its default, its meaning with its symbol, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    tau: Rate = rate(0.005, "the networks' share in each move of their targets, τ", 0, 1)
    lr: Rate = rate(3e-4, "Adam's learning rate, α", 0, 10)
    critic_lr: Rate | None = rate(None, "that of the critics; None: lr", 0, 10)
    batch_size: int = setting(256, "transitions of an update", 1, 1_000_000)
    memory: int = setting(1_000_000, "transitions that the replay memory holds", 1)
    warmup: int = setting(5_000, "steps with random actions, before any update", 0)
    random_share: Rate = rate(0.0, "share of actions that are random even after that, ε", 0, 1)
    update_interval: int = setting(1, "environment steps between updates", 1)
    updates: int = setting(1, "gradient steps of an update", 1, 10_000)
    n_step: int = setting(1, "steps of the return before it bootstraps", 1, 10_000)
    priority_exponent: float = setting(0.0, "how much errors decide what is replayed, α of prioritised replay; 0: nothing", 0, 1)
    priority_offset: float = setting(0.1, "what is added to the errors, ε", 1e-6)
    importance_exponent: Rate = rate(0.5, "how much weights undo that at the start, β; it rises to 1 at the end", 0, 1)
    newest: int = setting(0, "newest transitions of each environment in every batch besides, k of combined replay", 0, 10_000)
    hindsight: str | None = setting(None, "where goals in hindsight come from; None: no goals", choices=STRATEGIES)
    hindsight_k: int = setting(4, "transitions with a goal in hindsight for each with its own, k", 0)
    hindsight_reward: str = setting("environment", "what rewards in hindsight are", choices=REWARDS)
    goal_tolerance: float = setting(0.05, "distance that counts as reached, ε of the binary reward", 0)
    shaping_keep: float = setting(0.0, "share of the old distance in the shaped reward, λ", 0, 1)
    shaping_power: float = setting(1.0, "power of the distances in the shaped reward, p", 1e-6)
    clip_targets: bool = setting(False, "targets held in [−1/(1 − γ), 0]: right for rewards of −1 and 0, and for no others")
    hidden: tuple[int, ...] = setting((256, 256), "widths of all networks' hidden layers")
    critic_hidden: tuple[int, ...] | None = setting(None, "widths of the critics' hidden layers; None: hidden")
    activation: str = setting("relu", "between the layers", choices=tuple(ACTIVATIONS))
    critic_normalization: str | None = setting(
        None, "between the critics' hidden layers and activations; spectral: of their inner weights", choices=NORMALIZED
    )
    critic_affine: bool = setting(True, "whether that normalisation has a scale and a shift of its own")
    critic_blocks: tuple[int, ...] | None = setting(None, "inner width of each residual block of the critics; None: perceptrons")
    block_width: int = setting(1024, "outer width of all these blocks", 1, 8192)
    critic_gain: float = setting(1.0, "gain of the critics' last orthogonal weights", 1e-6, 100)
    actor_gain: float = setting(0.01, "that of the policy's", 1e-6, 100)
    critic_optimizer: str = setting("adam", "what the critics descend with", choices=tuple(OPTIMIZERS))
    targets: bool = setting(True, "target networks that follow; False: the networks are their own targets")
    asymmetry: float = setting(0.5, "weight of values that are too high against too low ones in the critics' loss, α", 0, 1)
    error_limit: float | None = setting(None, "TD error beyond which the critics' loss is linear (Huber), κ; None: never", 1e-9)
    normalize_observations: bool = setting(False, "running normalisation of what the networks read; the memory keeps the raw ones")

    def __post_init__(self):
        check_config(self)
        if self.batch_size > self.memory:
            raise ValueError(f"expected batch_size <= memory, given {self.batch_size} and {self.memory}")
        if self.critic_normalization == "group" and any(width % GROUPS or width == GROUPS for width in self.normalized_widths):
            given = f"for as many groups of two or more, given {self.normalized_widths}"
            raise ValueError(f"expected the critics' normalised widths as multiples of {GROUPS}, {given}")
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


def make_critics(space: SpaceInfo, config: Any, count: int, rng: np.random.Generator, policy: Module, own: Any = None) -> Critics:
    """The critics that the settings ask for, or those that `own` makes.

    `config` is an OffPolicyConfig with numbers in the place of schedules.
    """
    if own is None:
        made = [critic_network(space, config, space.actions, rng) for _ in range(count)]
    else:
        made = own_critics(own, count, space.observation, space.actions, rng)
        check_apart({"policy": policy, **{f"critic {i}": critic for i, critic in enumerate(made, 1)}})
    return Critics(
        made,
        config.critic_rate,
        config.value_bounds,
        optimizer=config.critic_optimizer,
        targets=config.targets,
        asymmetry=config.asymmetry,
        limit=math.inf if config.error_limit is None else config.error_limit,
    )


def make_memory(space: SpaceInfo, config: OffPolicyConfig) -> ReplayMemory:
    """The replay memory that the settings ask for.

    Raises
    ------
    ValueError
        For an environment with goals and settings without hindsight, or the reverse.
    """
    if bool(space.goal) != (config.hindsight is not None):
        given = f"an environment with{'' if space.goal else 'out'} goals and hindsight {config.hindsight!r}"
        raise ValueError(f"expected hindsight (one of {STRATEGIES}) if and only if the environment has goals, given {given}")
    priorities = Priorities(config.priority_exponent, config.priority_offset) if config.priority_exponent else None
    dtype = space.vector_dtype(config.normalize_observations)
    return ReplayMemory(config.memory, space, dtype, priorities, Episodes() if space.goal else None)
