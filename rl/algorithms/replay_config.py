"""Settings of every algorithm that learns from a replay memory: how it steps, what it remembers and what it replays."""

from dataclasses import dataclass

from rl.config import check_config, rate, setting
from rl.experience.episodes import Episodes
from rl.experience.hindsight import REWARDS, STRATEGIES
from rl.experience.normalizers import NORMALIZERS
from rl.experience.prioritized import Priorities
from rl.experience.replay import ReplayMemory
from rl.experience.spaces import SpaceInfo
from rl.schedules import Rate


@dataclass(frozen=True)
class ReplayConfig:
    """Each field: its default, its meaning with its symbol, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    batch_size: int = setting(256, "transitions of an update", 1, 1_000_000)
    memory: int = setting(1_000_000, "transitions that the replay memory holds", 1)
    warmup: int = setting(5_000, "steps with random actions, before any update", 0)
    random_share: Rate = rate(0.0, "share of actions that are random even after that, ε", 0, 1)
    update_interval: int = setting(1, "environment steps between updates", 1)
    updates: int = setting(1, "gradient steps of an update", 1, 10_000)
    n_step: int = setting(1, "steps of the return before it bootstraps", 1, 10_000)
    priority_exponent: float = setting(0.0, "how much errors decide what is replayed, α of prioritised replay; 0: nothing", 0, 1)
    priority_offset: float = setting(0.1, "what is added to the errors of prioritised replay, ε", 1e-6)
    importance_exponent: Rate = rate(0.5, "how much weights undo prioritised replay at the start, β; at the end 1", 0, 1)
    newest: int = setting(0, "newest transitions of each environment in every batch besides, k of combined replay", 0, 10_000)
    hindsight: str | None = setting(None, "where goals in hindsight come from; None: no goals", choices=STRATEGIES)
    hindsight_k: int | None = setting(None, "transitions with a goal in hindsight for each with its own, k; None: 4, final: 1", 0)
    hindsight_reward: str = setting("environment", "what rewards in hindsight are", choices=REWARDS)
    goal_tolerance: float = setting(0.05, "distance that counts as reached, ε of the binary reward", 0)
    shaping_keep: float = setting(0.0, "share of the old distance in the shaped reward, λ", 0, 1)
    shaping_power: float = setting(1.0, "power of the distances in the shaped reward, p", 1e-6)
    normalize_observations: bool = setting(False, "running normalisation of what the networks read; the memory keeps the raw ones")
    normalizer: str = setting("standard", "normalisation by mean and deviation, or by the range seen", choices=tuple(NORMALIZERS))
    observation_clip: float = setting(10.0, "bound of normalised observations", 1e-6)

    def __post_init__(self):
        check_config(self)
        if self.batch_size > self.memory:
            raise ValueError(f"expected batch_size <= memory, given {self.batch_size} and {self.memory}")

    def share_at_random(self, steps: int, share: float) -> float:
        """The share of actions that are random after so many steps: all while warming up, then `share`, ε."""
        return 1.0 if steps < self.warmup else share

    @property
    def relabelled(self) -> int:
        """k of hindsight: 4 (Andrychowicz et al. 2017), and 1 where an episode has one goal to offer (Algorithm 18)."""
        return self.hindsight_k if self.hindsight_k is not None else 1 if self.hindsight == "final" else 4


def make_memory(space: SpaceInfo, config: ReplayConfig) -> ReplayMemory:
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
