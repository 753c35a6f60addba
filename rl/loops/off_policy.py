"""The loop of the off-policy algorithms: gather transitions, and learn from the memory when it is due.

repeat
    a ← random for the first steps, then the policy's exploring action; step; store (s, a, r, s′, terminated)
    every `update_interval` steps: `updates` times
        learn from a batch drawn from the memory: uniform, or by priority (prioritized.py); with the
        newest transitions besides (combined replay, Zhang & Sutton 2017); with goals in hindsight
        (hindsight.py)

Shapes: N environments, B rows of a batch, A action dimensions.
"""

from typing import Any, Protocol

import numpy as np

from rl.experience import trees
from rl.experience.collector import Collector, EpisodeStatistics, Step, StepListener, following_of
from rl.experience.exploration import replace_by_random
from rl.experience.hindsight import Hindsight
from rl.experience.normalizers import Normalizer
from rl.experience.replay import Batch, ReplayMemory
from rl.experience.spaces import SpaceInfo
from rl.experience.stretches import sequence_batch
from rl.experience.trees import Observations
from rl.guards import Guard
from rl.interruption import SafePoint
from rl.schedules import annealed

STEPS_PER_REPORT = 1000


class OffPolicy(Protocol):
    """What an algorithm offers to this loop."""

    config: Any
    space: SpaceInfo
    memory: ReplayMemory
    collector: Collector
    normalizer: Normalizer | None
    recall: Any
    rngs: dict[str, np.random.Generator]
    steps: int
    iterations: int
    safe_point: SafePoint
    guard: Guard
    callbacks: StepListener

    @property
    def now(self) -> Any: ...

    def observe(self, observations: Observations) -> Observations: ...

    def explore(self, observations: Observations, rng: np.random.Generator) -> np.ndarray: ...

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]: ...


def iterate(agent: OffPolicy, total_steps: int) -> dict[str, float]:
    """Up to 1,000 environment steps, `total_steps` in all, with the updates that are due.

    Returns the means of what happened.
    """
    statistics, metrics = EpisodeStatistics(), []
    agent.memory.prepare(agent.collector.env.num_envs)
    end = min(agent.steps + STEPS_PER_REPORT, total_steps)
    while agent.steps < end:
        before, c = agent.steps, agent.now
        share = c.share_at_random(before, c.random_share)
        go_on = agent.callbacks.on_step(agent, gather(agent, statistics, share))
        for _ in range(updates_due(agent, before)):
            batch = draw_batch(agent, min(agent.steps / total_steps, 1.0))
            result = agent.guard.attempt(agent.update, batch)
            if result is None:  # left out
                continue
            losses, errors = result
            metrics.append(losses)
            if agent.memory.priorities is not None:
                agent.memory.priorities.update(batch.rows, errors)
        agent.safe_point.reached()
        if not go_on:
            break
    agent.iterations += 1
    names = dict.fromkeys(name for m in metrics for name in m)  # a delayed policy reports every other time
    means = {name: float(np.mean([m[name] for m in metrics if name in m])) for name in names}
    return {"steps": agent.steps, **statistics.means(), **means, **agent.guard.report()}


def gather(agent: OffPolicy, statistics: EpisodeStatistics, random_share: float) -> Step:
    """One step of every environment, into the memory; `random_share` of the actions are random."""
    collector, before = agent.collector, agent.collector.observations
    if agent.normalizer:
        agent.normalizer.update(trees.vector(before))
    actions = explore(agent, random_share)
    step = collector.step(agent.space.action.to_environment(actions), statistics)
    following = following_of(collector, step)
    if agent.recall is not None:
        agent.recall.took(actions, step.ended if collector.same_step else ~step.valid)
    agent.memory.add(before, actions, step.rewards, following, step.terminated, step.truncated, step.valid)
    agent.steps += int(np.count_nonzero(step.valid))
    return step


def explore(agent: OffPolicy, random_share: float) -> np.ndarray:
    """Actions (N, …): the policy's while exploring, each copy's replaced by a random one with that probability."""
    rng, copies = agent.rngs["explore"], len(agent.collector.ended)
    mask = agent.space.observation.mask_of(agent.collector.observations)
    remembered = None if agent.recall is None else agent.recall.read(agent.observe(agent.collector.observations))
    if random_share == 1:
        return agent.space.action.random(copies, rng, mask)
    actions = agent.explore(remembered or agent.observe(agent.collector.observations), rng)
    return replace_by_random(actions, random_share, agent.space.action, rng, mask)


def updates_due(agent: OffPolicy, before: int) -> int:
    """How many updates the steps since `before` ask for: none while the memory has less than a batch."""
    c = agent.config
    due = agent.steps // c.update_interval - max(before, c.warmup) // c.update_interval
    return due * c.updates if due > 0 and len(agent.memory) >= c.batch_size else 0


def draw_batch(agent: OffPolicy, progress: float) -> Batch:
    """A batch as the settings want it: all transitions alike or by priority, with the newest besides, with goals in hindsight.

    `progress` in [0, 1] of the training raises the importance exponent, where that is a plain number.
    """
    c, memory, rng = agent.config, agent.memory, agent.rngs["replay"]
    if agent.recall is not None:
        sequences = max(1, round(c.batch_size / c.recall_span))
        return sequence_batch(memory, memory.draw(sequences, rng), c.recall_span, c.burn_in, c.gamma, agent.observe)
    if memory.priorities is None:
        rows, weights = memory.draw(c.batch_size, rng), None
    else:
        rows = memory.priorities.draw(c.batch_size, rng)
        weights = memory.priorities.weights(rows, annealed(c.importance_exponent, 1.0, progress))
    if c.newest:  # they were not drawn: they count fully
        rows = np.concatenate([rows, memory.newest(c.newest)])
        weights = None if weights is None else np.concatenate([weights, np.ones(len(rows) - len(weights), np.float32)])
    if c.hindsight is None:
        return memory.batch(rows, c.gamma, c.n_step, weights)
    rewards = c.hindsight_reward, c.goal_tolerance, c.shaping_keep, c.shaping_power
    hindsight = Hindsight(agent.space.goal, c.hindsight, c.relabelled, *rewards)
    return hindsight.batch(memory, rows, c.gamma, c.n_step, weights, agent.collector.env, rng)
