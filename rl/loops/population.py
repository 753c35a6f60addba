"""The loop of algorithms without a gradient: judge a generation of candidates by their episodes, and learn from their returns.

repeat
    draw P candidates θ_p; begin new episodes in all copies
    until every candidate has played E episodes
        every copy steps with its candidate's parameters; at an episode's end it takes the next candidate
        where candidates have a horizon, and all that play have reached it: begin new episodes in all copies
    update the distribution that candidates are drawn from

Where no candidate is left, or the episode goes on after its candidate's horizon, a copy plays with
the policy's own parameters until the others are done.
These steps count, as all do; the metric "idle" is their share. Few copies waste few of them.

An iteration ends with the generation, or before, where `total_steps` are reached or a callback ends
the training. What has been evaluated is kept by then, so that the next one goes on from there.

Shapes: N environments, P candidates of D parameters, E episodes of each.
"""

from typing import Any, Protocol

import numpy as np

from rl.experience.collector import Collector, EpisodeStatistics, Step, StepListener
from rl.experience.generation import NOBODY, Generation
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.guards import Guard
from rl.interruption import SafePoint
from rl.networks.ensemble import act_by_row


class Population(Protocol):
    """What an algorithm offers to this loop."""

    space: SpaceInfo
    policy: Any
    generation: Generation
    collector: Collector
    steps: int
    iterations: int
    safe_point: SafePoint
    guard: Guard
    callbacks: StepListener

    def begin_episodes(self) -> None: ...

    def observe(self, observations: Observations) -> Observations: ...

    def learn_scale(self, observations: Observations) -> None: ...

    def draw(self) -> np.ndarray: ...

    def update(self, candidates: np.ndarray, scores: np.ndarray) -> dict[str, float]: ...


def iterate(agent: Population, total_steps: int) -> dict[str, float]:
    """Evaluate to the end of a generation, or until `total_steps` in all are reached; learn from it at its end."""
    generation, statistics = agent.generation, EpisodeStatistics()
    if generation.complete:
        begin_generation(agent)
    rest, taken, idle = agent.policy.flat.data, 0, 0
    parameters = generation.parameters(np.arange(len(generation.tasks)), rest)  # (N, D)
    while agent.steps < total_steps and not generation.complete:
        if generation.waiting:
            agent.begin_episodes()
            parameters = generation.parameters(np.arange(len(generation.tasks)), rest)
        idle += int(np.count_nonzero(generation.tasks == NOBODY))
        taken += len(generation.tasks)
        step = advance(agent, parameters, statistics)
        copies = generation.record(step)
        if len(copies):
            parameters[copies] = generation.parameters(copies, rest)
        agent.safe_point.reached()
        if not agent.callbacks.on_step(agent, step):
            break
    metrics: dict[str, float] = {}
    if generation.complete:
        metrics = agent.guard.attempt(agent.update, generation.candidates, generation.scores) or {}
    agent.iterations += 1
    return {"steps": agent.steps, **statistics.means(), **metrics, "idle": idle / taken, **agent.guard.report()}


def begin_generation(agent: Population) -> None:
    """Draw candidates, and let every copy begin a new episode with one of them."""
    agent.generation.start(agent.draw())
    if agent.collector.lengths.any():  # somewhere in an episode, played to fill the time
        agent.begin_episodes()
    else:
        agent.generation.begin(len(agent.collector.ended))


def advance(agent: Population, parameters: np.ndarray, statistics: EpisodeStatistics) -> Step:
    """One step of every environment, each with parameters (N, D) of its own."""
    collector = agent.collector
    agent.learn_scale(collector.observations)
    actions = act_by_row(agent.policy, parameters, agent.observe(collector.observations))
    step = collector.step(agent.space.action.to_environment(actions), statistics)
    agent.steps += int(np.count_nonzero(step.valid))
    return step
