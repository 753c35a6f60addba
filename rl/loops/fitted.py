"""The loop of fitted iteration: a data set first, then rounds over it.

until `total_steps`: a random action; step; store (s, a, r, s′, terminated)
then `rounds` times
    what the targets are made from is frozen
    `round_steps` times: learn from a batch drawn from the data set

`learn` to a larger number of steps adds to the data set, and goes through the rounds again. Rounds
that were interrupted go on with the next `learn`.
"""

from typing import Any, Protocol

import numpy as np

from rl.experience.collector import EpisodeStatistics
from rl.experience.replay import Batch
from rl.loops.off_policy import STEPS_PER_REPORT, OffPolicy, gather
from rl.state import Counter


class Fitted(OffPolicy, Protocol):
    """What an algorithm offers to this loop."""

    rounds_left: Counter

    def freeze(self) -> None: ...


def iterate(agent: Any, total_steps: int) -> dict[str, float]:
    """Up to 1,000 environment steps with random actions; after the last of `total_steps` all rounds.

    Returns the means of what happened.
    """
    statistics = EpisodeStatistics()
    agent.memory.prepare(agent.config.num_envs)
    end = min(agent.steps + STEPS_PER_REPORT, total_steps)
    if agent.steps < end and agent.env is None:
        raise RuntimeError(f"{total_steps - agent.steps:,} steps are to be taken, and there is no environment: call set_env(env)")
    while agent.steps < end:
        step = gather(agent, statistics, 1.0)
        agent.rounds_left.count = agent.config.rounds if agent.steps >= total_steps else 0
        go_on = agent.callbacks.on_step(agent, step)
        agent.safe_point.reached()
        if not go_on:
            break
    metrics = fit(agent) if agent.steps >= total_steps else {}
    agent.iterations += 1
    return {"steps": agent.steps, **statistics.means(), **metrics, **agent.guard.report()}


def fit(agent: Fitted) -> dict[str, float]:
    """All rounds over the data set that are left; returns the means of the last one."""
    c, metrics = agent.config, []
    while agent.rounds_left.count:
        agent.freeze()
        metrics = []
        for _ in range(c.round_steps):
            result = agent.guard.attempt(agent.update, draw(agent))
            metrics += [] if result is None else [result[0]]
        agent.rounds_left.count -= 1
        agent.safe_point.reached()
    return {name: float(np.mean([m[name] for m in metrics])) for name in (metrics[0] if metrics else ())}


def draw(agent: Fitted) -> Batch:
    """A batch of the data set: every transition with the same probability."""
    rows = agent.memory.draw(agent.config.batch_size, agent.rngs["replay"])
    return agent.memory.batch(rows, agent.config.gamma)
