"""The loop of the on-policy algorithms: collect T steps in N environments with the policy, learn from them, forget them.

Shapes: T steps, N environments.
"""

import warnings
from dataclasses import fields
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rl.experience import trees
from rl.experience.collector import Collector, EpisodeStatistics, StepListener
from rl.experience.normalize import RewardScaler
from rl.experience.normalizers import Normalizer
from rl.experience.rollout import Rollout
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.guards import Guard
from rl.interruption import SafePoint
from rl.networks.gsde import Exploration, StateDependentPolicy
from rl.networks.heads import FixedSigma
from rl.networks.recall import Recall


class Drawing(Protocol):
    """What has a policy to draw from."""

    policy: Any


class Acting(Drawing, Protocol):
    """What acts in an environment while a rollout is collected."""

    space: SpaceInfo
    collector: Collector
    scaler: RewardScaler | None
    recall: Recall | None
    rngs: dict[str, np.random.Generator]
    steps: int
    callbacks: StepListener

    def observe(self, observations: Observations) -> Observations: ...

    def learn_scale(self, observations: Observations) -> None: ...

    def act(self, observations: Observations, rng: np.random.Generator | None) -> np.ndarray: ...


class Scaling(Protocol):
    """What may normalise observations."""

    normalizer: Normalizer | None


class OnPolicy(Acting, Protocol):
    """What an algorithm offers to this loop."""

    config: Any
    iterations: int
    safe_point: SafePoint
    guard: Guard

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]: ...


@runtime_checkable
class Workers(Protocol):
    """An environment whose workers act by themselves, with the policy's replicas; see rl/cluster."""

    def collect(self, agent: OnPolicy, steps: int) -> tuple[Rollout, EpisodeStatistics]: ...


def act(agent: Drawing, observations: Observations, rng: np.random.Generator | None) -> np.ndarray:
    """The actions (N, …) that the policy draws with `rng`, or the most probable ones without."""
    distribution = agent.policy.predict(observations)
    return distribution.mode() if rng is None else distribution.sample(rng)


def learn_scale(agent: Scaling, observations: Observations) -> None:
    """Let the normaliser take in observations (N, …)."""
    if agent.normalizer:
        agent.normalizer.update(trees.vector(observations))


def iterate(agent: OnPolicy, total_steps: int) -> dict[str, float]:
    """Collect and learn once: T steps in each environment, fewer where `total_steps` in all are reached before."""
    progress, copies = agent.steps / total_steps, len(agent.collector.ended)
    steps = min(agent.config.steps, -(-(total_steps - agent.steps) // copies))
    if agent.iterations == 0:
        warn_of_large_minibatches(agent.config, agent.config.steps * copies)
    anneal(agent, progress)
    env = agent.collector.env
    rollout, statistics = env.collect(agent, steps) if isinstance(env, Workers) else collect(agent, steps)
    metrics = agent.update(rollout, progress) if rollout.valid.any() else {}  # NEXT_STEP: all may be between episodes
    agent.iterations += 1
    agent.safe_point.reached()
    return {"steps": agent.steps, **statistics.means(), **metrics, **agent.guard.report()}


def warn_of_large_minibatches(config: Any, steps: int) -> None:
    """Tell who chose minibatches (field `batch_size`) that a rollout of so many steps does not fill."""
    rows = 2 * steps if vars(config).get("mirror") else steps  # mirror images are learned from, too
    for f in fields(config):
        if f.name == "batch_size" and f.default != config.batch_size > rows:
            given = f"batch_size={config.batch_size:,} and {rows:,} rows in a rollout (steps × num_envs)"
            warnings.warn(
                f"expected minibatches that a rollout fills, given {given}: each epoch is one step on all rows", stacklevel=7
            )


def anneal(agent: Drawing, progress: float) -> None:
    """Move what is set by the training's progress in [0, 1], and stays what it is from acting to learning: a fixed σ."""
    for module in agent.policy.modules():
        if isinstance(module, FixedSigma):
            module.anneal(progress)


def acting_of(agent: Acting) -> Any:
    """What draws the actions of one rollout: the agent, what its networks remember, or noise that lasts for some steps."""
    policy = agent.policy
    if isinstance(policy, StateDependentPolicy):
        return Exploration(policy)
    return agent if agent.recall is None else agent.recall


def collect(agent: Acting, steps: int) -> tuple[Rollout, EpisodeStatistics]:
    """T = `steps` more steps of every environment, and the episodes that ended in them."""
    statistics, collector = EpisodeStatistics(), agent.collector
    rollout = Rollout.empty(steps, agent.observe(collector.observations), *agent.space.action.stored)
    acting = acting_of(agent)
    if agent.recall is not None:
        agent.recall.open()
    for t in range(steps):
        agent.learn_scale(collector.observations)
        observations = agent.observe(collector.observations)
        actions = acting.act(observations, agent.rngs["actions"])
        step = collector.step(agent.space.action.to_environment(actions), statistics)  # unclipped stored, clipped sent
        if agent.recall is not None:
            agent.recall.starts = step.ended if collector.same_step else ~step.valid
        rewards = agent.scaler(step.rewards, step.ended, step.valid) if agent.scaler else step.rewards
        rollout.write(t, observations, actions, rewards, step)
        rollout.final |= {(t, n): agent.observe(x) for n, x in step.final.items() if step.truncated[n]}
        agent.steps += int(np.count_nonzero(step.valid))
        if not agent.callbacks.on_step(agent, step):
            rollout = rollout.until(t + 1)
            break
    rollout.last = agent.observe(collector.observations)
    if agent.recall is not None:
        rollout.sequences = agent.recall.close(rollout)
    return rollout, statistics
