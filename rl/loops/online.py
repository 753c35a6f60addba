"""The loop of learners that take in each step as it comes, and then let it go.

repeat
    a ← the exploring action in each of N environments; step
    learn from (s, a, r, s′, terminated)

Learners with a table of values use it: the next step acts by what this one taught. States come as numbers.

Shapes: N environments.
"""

from typing import Protocol

import numpy as np

from rl.experience.collector import Collector, EpisodeStatistics, Step, StepListener
from rl.experience.spaces import SpaceInfo
from rl.experience.visits import Transitions
from rl.guards import Guard
from rl.interruption import SafePoint
from rl.networks.table import Table

STEPS_PER_REPORT = 1000


class Online(Protocol):
    """What an algorithm offers to this loop."""

    space: SpaceInfo
    policy: Table
    collector: Collector
    rngs: dict[str, np.random.Generator]
    steps: int
    iterations: int
    safe_point: SafePoint
    guard: Guard
    callbacks: StepListener

    def explore(self, states: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...

    def update(self, t: Transitions) -> float: ...


def iterate(agent: Online, total_steps: int) -> dict[str, float]:
    """Up to 1,000 environment steps, `total_steps` in all, each learned from at once; returns the means of what happened."""
    statistics, errors = EpisodeStatistics(), []
    end = min(agent.steps + STEPS_PER_REPORT, total_steps)
    states = agent.policy.states(agent.collector.observations)
    while agent.steps < end:
        actions = agent.explore(states, agent.rngs["actions"])
        step = agent.collector.step(agent.space.action.to_environment(actions), statistics)
        following = agent.policy.states(agent.collector.observations)
        reached = reached_states(agent, step, following)
        error = agent.guard.attempt(
            agent.update, Transitions(states, actions, step.rewards, reached, step.terminated, step.truncated, step.valid)
        )
        if error is not None:
            errors.append(error)
        states = following
        agent.steps += int(np.count_nonzero(step.valid))
        agent.safe_point.reached()
        if not agent.callbacks.on_step(agent, step):
            break
    agent.iterations += 1
    metrics = {"td_error": float(np.mean(errors))} if errors else {}
    return {"steps": agent.steps, **statistics.means(), **metrics, **agent.guard.report()}


def reached_states(agent: Online, step: Step, following: np.ndarray) -> np.ndarray:
    """s′ (N,) of a step: the last states of episodes that ended, where the next ones' first follow already."""
    if not step.final:
        return following
    reached = following.copy()
    for n, observation in step.final.items():
        reached[n] = agent.policy.states(observation)[0]
    return reached
