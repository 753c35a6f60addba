"""What the off-policy algorithms share: their settings, gathering transitions, and when to learn from them.

repeat
    a ← random for the first steps, then the policy's exploring action; step; remember (s, a, r, s′, terminated)
    every `update_interval` steps: `updates` times
        learn from a batch drawn from the memory
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rl.agent import Agent
from rl.parts.config import check_config, setting
from rl.parts.replay import Batch, ReplayMemory
from rl.parts.rollout import EpisodeStatistics

STEPS_PER_REPORT = 1000


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
    update_interval: int = setting(1, "environment steps between updates", 1)
    updates: int = setting(1, "gradient steps of an update", 1)
    n_step: int = setting(1, "steps of the return before it bootstraps", 1)
    hidden: tuple[int, ...] = setting((256, 256), "widths of all networks' hidden layers")
    activation: str = setting("relu", "between the layers", choices=("relu", "tanh"))
    normalize_observations: bool = setting(False, "running normalisation of what the networks see; the memory keeps the raw ones")

    def __post_init__(self):
        check_config(self)
        if self.batch_size > self.memory:
            raise ValueError(f"expected batch_size <= memory, given {self.batch_size} and {self.memory}")


class OffPolicy(Protocol):
    """What an algorithm offers to `gather_and_learn`, besides being an `Agent`."""

    config: Any
    memory: ReplayMemory

    def explore(self, observations: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...

    def update(self, batch: Batch) -> dict[str, float]: ...


def gather_and_learn(agent: Agent, steps: int = STEPS_PER_REPORT) -> dict[str, float]:
    """About `steps` environment steps with the updates that are due; returns the means of what happened."""
    c, space, rngs = agent.config, agent.space, agent.rngs
    copies = agent.env.num_envs
    statistics, metrics = EpisodeStatistics(), []
    agent.memory.prepare(copies)
    for _ in range(-(-steps // copies)):
        raw = np.array(space.flatten(agent.collector.observations), np.float32)  # a copy: environments reuse theirs
        if agent.normalizer:
            agent.normalizer.update(raw)
        if agent.steps < c.warmup:
            actions = rngs["explore"].uniform(-1, 1, (copies, space.actions)).astype(np.float32)
        else:
            actions = agent.explore(agent.observe(agent.collector.observations), rngs["explore"])
        step = agent.collector.step(space.to_environment(actions), statistics)
        following = np.array(space.flatten(agent.collector.observations), np.float32)
        for n, observation in step.final.items():
            following[n] = observation.ravel()
        agent.memory.add(raw, actions, step.rewards, following, step.terminated, step.truncated, step.alive)
        before, agent.steps = agent.steps, agent.steps + copies
        due = agent.steps // c.update_interval - max(before, c.warmup) // c.update_interval
        for _ in range(max(due, 0) * c.updates if len(agent.memory) >= c.batch_size else 0):
            rows = agent.memory.draw(c.batch_size, rngs["replay"])
            metrics.append(agent.update(agent.memory.batch(rows, c.gamma, c.n_step)))
    agent.iterations += 1
    names = dict.fromkeys(name for m in metrics for name in m)  # a delayed policy reports every other time
    means = {name: float(np.mean([m[name] for m in metrics if name in m])) for name in names}
    return {"steps": agent.steps, **statistics.means(), **means}
