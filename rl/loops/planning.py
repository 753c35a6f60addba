"""The loop of planners: gather transitions, and fit the model to all of them when it is due.

repeat
    a ← random for the first steps, then the plan's; step; store (s, a, r, s′, terminated)
    every `model_interval` steps: fit the model

Shapes: N environments.
"""

from typing import Any, Protocol

import numpy as np

from rl.experience.collector import EpisodeStatistics
from rl.loops.off_policy import STEPS_PER_REPORT, OffPolicy, gather


class Planning(OffPolicy, Protocol):
    """What an algorithm offers to this loop."""

    def is_due(self) -> bool: ...

    def fit(self) -> dict[str, float]: ...


def iterate(agent: Any, total_steps: int) -> dict[str, float]:
    """Up to 1,000 environment steps, `total_steps` in all, with the fits that are due.

    Returns the means of what happened.
    """
    statistics, metrics, c = EpisodeStatistics(), [], agent.config
    agent.memory.prepare(agent.collector.env.num_envs)
    end = min(agent.steps + STEPS_PER_REPORT, total_steps)
    while agent.steps < end:
        step = gather(agent, statistics, 1.0 if agent.steps < c.warmup else 0.0)
        go_on = agent.callbacks.on_step(agent, step)
        if agent.steps >= c.warmup and agent.is_due():
            result = agent.guard.attempt(agent.fit)
            metrics += [] if result is None else [result]
        agent.safe_point.reached()
        if not go_on:
            break
    agent.iterations += 1
    means = {name: float(np.mean([m[name] for m in metrics])) for name in (metrics[0] if metrics else ())}
    return {"steps": agent.steps, **statistics.means(), **means, **agent.guard.report()}
