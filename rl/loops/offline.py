"""The loop of the offline algorithms: updates on a data set, then steps in the environment.

while there are updates on the data set to do (`offline_steps`; all, unless the settings say otherwise)
    learn from a batch drawn from the data set                    one step is one update
then, or from the start where no data set was given
    a ← the exploring policy; step; add (s, a, r, s′, terminated) to the data set
    learn from a batch of all that is in it                       one update for each step

Without a data set the first `warmup` actions are random.
"""

from typing import Any, Protocol

import numpy as np

from rl.experience.collector import EpisodeStatistics
from rl.experience.replay import Batch
from rl.loops.off_policy import STEPS_PER_REPORT, OffPolicy, gather


class Offline(OffPolicy, Protocol):
    """What an algorithm offers to this loop."""

    @property
    def offline(self) -> bool: ...

    @property
    def warming_up(self) -> bool: ...

    def updates_until(self, total_steps: int) -> int: ...

    def batch(self, rows: np.ndarray) -> Batch: ...


def iterate(agent: Any, total_steps: int) -> dict[str, float]:
    """Up to 1,000 updates on the data set, or up to 1,000 steps in the environment with an update each.

    Returns the means of what happened.
    """
    statistics, metrics, go_on = EpisodeStatistics(), [], True
    agent.memory.prepare(agent.config.num_envs)
    offline, end = agent.offline, min(agent.steps + STEPS_PER_REPORT, total_steps)
    if offline:
        end = min(end, agent.updates_until(total_steps))
    while agent.steps < end and go_on:
        before, warming_up = agent.steps, agent.warming_up
        if offline:
            agent.steps += 1
        else:
            go_on = agent.callbacks.on_step(agent, gather(agent, statistics, 1.0 if warming_up else 0.0))
        due = agent.steps - before if not warming_up and len(agent.memory) >= agent.config.batch_size else 0
        for _ in range(due):
            result = agent.guard.attempt(agent.update, draw(agent))
            metrics += [] if result is None else [result[0]]
        agent.safe_point.reached()
    agent.iterations += 1
    names = dict.fromkeys(name for m in metrics for name in m)  # a delayed policy reports every other time
    means = {name: float(np.mean([m[name] for m in metrics if name in m])) for name in names}
    return {"steps": agent.steps, **statistics.means(), **means, **agent.guard.report()}


def draw(agent: Offline) -> Batch:
    """A batch of the data set: every transition with the same probability."""
    return agent.batch(agent.memory.draw(agent.config.batch_size, agent.rngs["replay"]))
