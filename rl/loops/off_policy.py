"""What the off-policy algorithms share: their settings, gathering transitions, and when to learn from them.

repeat
    a ← random for the first steps, then the policy's exploring action; step; remember (s, a, r, s′, terminated)
    every `update_interval` steps: `updates` times
        learn from a batch drawn from the memory: uniform, or by priority (prioritized.py); with the newest transitions
        besides (combined replay, Zhang & Sutton 2017); with goals in hindsight (hindsight.py)
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from rl.agent import Agent
from rl.config import check_config, setting
from rl.experience.episodes import Episodes
from rl.experience.hindsight import REWARDS, STRATEGIES, Hindsight
from rl.experience.prioritized import Priorities
from rl.experience.replay import Batch, ReplayMemory
from rl.experience.rollout import EpisodeStatistics
from rl.experience.spaces import SpaceInfo
from rl.networks.critics import GROUPS, NORMALIZATIONS, Critics

STEPS_PER_REPORT = 1000
NORMALIZED = tuple(NORMALIZATIONS)


@dataclass(frozen=True)
class OffPolicyConfig:
    """Settings of every off-policy algorithm. Each field: its default, its meaning with its symbol, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    tau: float = setting(0.005, "the networks' share in each move of their targets, τ", 0, 1)
    lr: float = setting(3e-4, "Adam's learning rate, α", 0, 10)
    batch_size: int = setting(256, "transitions of an update", 1)
    memory: int = setting(1_000_000, "transitions that the replay memory holds", 1)
    warmup: int = setting(5_000, "steps with random actions, before any update", 0)
    random_share: float = setting(0.0, "share of actions that are random even after that, ε", 0, 1)
    update_interval: int = setting(1, "environment steps between updates", 1)
    updates: int = setting(1, "gradient steps of an update", 1)
    n_step: int = setting(1, "steps of the return before it bootstraps", 1)
    priority_exponent: float = setting(0.0, "how much errors decide what is replayed, α of prioritised replay; 0: nothing", 0, 1)
    priority_offset: float = setting(0.1, "what is added to the errors, ε", 1e-6)
    importance_exponent: float = setting(0.5, "how much weights undo that at the start, β; it rises to 1 at the end", 0, 1)
    newest: int = setting(0, "newest transitions of each environment that every batch gets besides, k of combined replay", 0)
    hindsight: str | None = setting(None, "where goals in hindsight come from; None: no goals", choices=STRATEGIES)
    hindsight_k: int = setting(4, "transitions with a goal in hindsight for each with its own, k", 0)
    hindsight_reward: str = setting("environment", "what rewards in hindsight are", choices=REWARDS)
    goal_tolerance: float = setting(0.05, "distance that counts as reached, ε of the binary reward", 0)
    shaping_keep: float = setting(0.0, "share of the old distance in the shaped reward, λ", 0, 1)
    shaping_power: float = setting(1.0, "power of the distances in the shaped reward, p", 1e-6)
    clip_targets: bool = setting(False, "targets held in [−1/(1 − γ), 0]: right for rewards of −1 and 0, and for no others")
    hidden: tuple[int, ...] = setting((256, 256), "widths of all networks' hidden layers")
    activation: str = setting("relu", "between the layers", choices=("relu", "tanh"))
    critic_normalization: str | None = setting(None, "between the critics' hidden layers and activations", choices=NORMALIZED)
    normalize_observations: bool = setting(False, "running normalisation of what the networks see; the memory keeps the raw ones")

    def __post_init__(self):
        check_config(self)
        if self.batch_size > self.memory:
            raise ValueError(f"expected batch_size <= memory, given {self.batch_size} and {self.memory}")
        if self.critic_normalization == "group" and any(width % GROUPS or width == GROUPS for width in self.hidden):
            raise ValueError(f"expected hidden as multiples of {GROUPS}, for as many groups of two or more, given {self.hidden}")
        if self.clip_targets and self.gamma == 1:
            raise ValueError("expected gamma < 1 where targets are clipped: [−1/(1 − γ), 0] has no end, given gamma 1")

    @property
    def value_bounds(self) -> tuple[float, float] | None:
        """What a discounted sum of rewards can be, where the settings say that it is known."""
        return (-1 / (1 - self.gamma), 0.0) if self.clip_targets else None


class OffPolicy(Protocol):
    """What an algorithm offers to `gather_and_learn`, besides being an `Agent`."""

    config: Any
    memory: ReplayMemory

    def explore(self, observations: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...

    def update(self, batch: Batch) -> dict[str, float]: ...


def make_critics(space: SpaceInfo, config: Any, count: int, rng: np.random.Generator) -> Critics:
    """The critics that the settings ask for."""
    sizes, activation = (space.observations + space.actions, *config.hidden, 1), ACTIVATIONS[config.activation]
    return Critics(count, sizes, activation, config.lr, rng, config.value_bounds, config.critic_normalization)


def make_memory(space: SpaceInfo, config: Any) -> ReplayMemory:
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
    return ReplayMemory(config.memory, space.observations, space.actions, priorities, Episodes() if space.goal else None)


def gather_and_learn(agent: Agent, progress: float, steps: int = STEPS_PER_REPORT) -> dict[str, float]:
    """About `steps` environment steps with the updates that are due; returns the means of what happened."""
    c, space, memory = agent.config, agent.space, agent.memory
    copies = agent.env.num_envs
    statistics, metrics = EpisodeStatistics(), []
    memory.prepare(copies)
    memory.cut(agent.collector.lengths == 0)
    for _ in range(-(-steps // copies)):
        raw = np.array(space.flatten(agent.collector.observations), np.float32)  # a copy: environments reuse theirs
        if agent.normalizer:
            agent.normalizer.update(raw)
        actions = explore(agent, 1.0 if agent.steps < c.warmup else c.random_share)
        step = agent.collector.step(space.to_environment(actions), statistics)
        following = np.array(space.flatten(agent.collector.observations), np.float32)
        for n, observation in step.final.items():
            following[n] = observation.ravel()
        memory.add(raw, actions, step.rewards, following, step.terminated, step.truncated, step.alive)
        before, agent.steps = agent.steps, agent.steps + copies
        due = agent.steps // c.update_interval - max(before, c.warmup) // c.update_interval
        for _ in range(max(due, 0) * c.updates if len(memory) >= c.batch_size else 0):
            batch = draw_batch(agent, progress)
            metrics.append(agent.update(batch))
            if memory.priorities is not None:
                memory.priorities.update(batch.rows, batch.errors)
    agent.iterations += 1
    names = dict.fromkeys(name for m in metrics for name in m)  # a delayed policy reports every other time
    means = {name: float(np.mean([m[name] for m in metrics if name in m])) for name in names}
    return {"steps": agent.steps, **statistics.means(), **means}


def explore(agent: Agent, random_share: float) -> np.ndarray:
    """Actions (N, A) in [−1, 1]: the policy's while exploring, each copy's replaced by a random one with that probability."""
    rng, shape = agent.rngs["explore"], (agent.env.num_envs, agent.space.actions)
    if random_share == 1:
        return rng.uniform(-1, 1, shape).astype(np.float32)
    actions = agent.explore(agent.observe(agent.collector.observations), rng)
    if random_share:
        chosen = rng.random(len(actions)) < random_share
        actions[chosen] = rng.uniform(-1, 1, (chosen.sum(), shape[1]))
    return actions


def draw_batch(agent: Agent, progress: float) -> Batch:
    """A batch as the settings want it: all transitions alike or by priority, with the newest besides, with goals in hindsight."""
    c, space, memory, rng = agent.config, agent.space, agent.memory, agent.rngs["replay"]
    if memory.priorities is None:
        rows, weights = memory.draw(c.batch_size, rng), None
    else:
        rows = memory.priorities.draw(c.batch_size, rng)
        weights = memory.priorities.weights(rows, c.importance_exponent + progress * (1 - c.importance_exponent))
    if c.newest:  # nothing chose them by chance: they count fully
        rows = np.concatenate([rows, memory.newest(c.newest)])
        weights = None if weights is None else np.concatenate([weights, np.ones(len(rows) - len(weights), np.float32)])
    if c.hindsight is None:
        return memory.batch(rows, c.gamma, c.n_step, weights)
    rewards = c.hindsight_reward, c.goal_tolerance, c.shaping_keep, c.shaping_power
    hindsight = Hindsight(space.goal, c.hindsight, c.hindsight_k, *rewards)
    return hindsight.batch(memory, rows, c.gamma, c.n_step, weights, agent.env, rng)
