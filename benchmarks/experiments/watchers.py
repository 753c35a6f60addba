"""What is measured while an agent of an experiment learns. None of it changes what the agent learns.

Shapes: B rows of a batch.
"""

from collections.abc import Callable

import numpy as np

from benchmarks.experiments.experiment import Played, Point, Task, Watcher
from rl.agent import Agent
from rl.experience.collector import Step
from rl.experience.replay import Batch
from rl.experience.trees import with_actions
from rl.training.dynamics import UpdateAlignment, semi_gradient_change
from rl.training.evaluation import play

ROWS = 256  # that a measurement looks at
EPISODES = 5  # of a point of the curve
POINTS = 10  # of a curve


class Curve(Watcher):
    """The score of a few deterministic episodes, ten times in a training."""

    def __init__(self, task: Task, steps: int, score: Callable[[Played, Task], np.ndarray]):
        self.task, self.score, self.every = task, score, steps / POINTS
        self.scores: list[Point] = []

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> None:
        if agent.steps >= (len(self.scores) + 1) * self.every:
            played = play(agent, self.task.env, EPISODES, env_settings=self.task.settings)
            self.scores.append(Point("score", agent.steps, float(self.score(played, self.task).mean())))

    def points(self) -> list[Point]:
        return self.scores


class Alignment(Watcher):
    """cos(Q′ − Q, y − Q) of every hundredth update: its mean, its smallest, and means of a hundred measurements."""

    def __init__(self, agent: Agent, task: Task):
        self.measured = UpdateAlignment(100)

    def on_start(self, agent: Agent) -> None:
        self.measured.on_start(agent)

    def on_step(self, agent: Agent, step: Step) -> None:
        self.measured.on_step(agent, step)

    def on_end(self, agent: Agent, error: BaseException | None) -> None:
        self.measured.on_end(agent, error)

    def columns(self) -> dict[str, float]:
        values = self.measured.values
        return {"alignment": float(np.mean(values)), "least_alignment": float(min(values))} if values else {}

    def points(self) -> list[Point]:
        steps, values = (np.array(x, float) for x in (self.measured.steps, self.measured.values))
        groups = np.array_split(np.arange(len(steps)), min(20, len(steps))) if len(steps) else []
        return [Point("alignment", steps[rows].mean(), values[rows].mean()) for rows in groups]


class OnBatches(Watcher):
    """Looks at a batch of the memory after each thousand steps. Its rows are drawn by a generator of its own."""

    def __init__(self, agent: Agent, task: Task):
        self.rng = np.random.default_rng(agent.seed)

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> None:
        memory = agent.memory  # type: ignore[attr-defined]
        if agent.steps > agent.config.warmup and len(memory) >= ROWS:
            self.look(agent, memory.batch(memory.draw(ROWS, self.rng), agent.config.gamma))

    def look(self, agent: Agent, batch: Batch) -> None:
        """Measure."""
        raise NotImplementedError


class Extremes(OnBatches):
    """The largest |Q| and |r| of a training, the share of the critic's steps that PreQN took."""

    def __init__(self, agent: Agent, task: Task):
        super().__init__(agent, task)
        self.largest_value = self.largest_reward = 0.0
        self.accepted: list[float] = []

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> None:
        super().on_update(agent, metrics)
        if "accepted" in metrics:
            self.accepted.append(metrics["accepted"])

    def look(self, agent: Agent, batch: Batch) -> None:
        x = with_actions(agent.observe(batch.observations), batch.actions)
        values = [np.abs(q.predict(x)).max() for q in agent.critics.networks]  # type: ignore[attr-defined]
        self.largest_value = max(self.largest_value, float(max(values)))
        self.largest_reward = max(self.largest_reward, float(np.abs(batch.rewards).max()))

    def columns(self) -> dict[str, float]:
        accepted = {"accepted": float(np.mean(self.accepted))} if self.accepted else {}
        return {"largest_value": self.largest_value, "largest_reward": self.largest_reward, **accepted}


class Dynamics(OnBatches):
    """How often a plain semi-gradient step of the first critic would make its loss larger: see rl/training/dynamics.py."""

    def __init__(self, agent: Agent, task: Task):
        super().__init__(agent, task)
        self.changes: list[float] = []

    def look(self, agent: Agent, batch: Batch) -> None:
        critics, c = agent.critics, agent.now  # type: ignore[attr-defined]
        s, s_next = agent.observe(batch.observations), agent.observe(batch.next_observations)
        x, x_next = with_actions(s, batch.actions), with_actions(s_next, agent.act(s_next, None))
        y = batch.rewards + batch.discounts * critics.targets[0].predict(x_next)[:, 0]
        errors = critics.networks[0].predict(x)[:, 0] - y
        share = c.tau if c.targets else 1.0
        self.changes.append(sum(semi_gradient_change(critics.networks[0], x, x_next, batch.discounts, errors, share)))

    def columns(self) -> dict[str, float]:
        return {"rises": float(np.mean(np.array(self.changes) > 0))} if self.changes else {}


class Fits(Watcher):
    """The error of each fit of a learned model: squared, on held-out rows, in variances of what it predicts."""

    def __init__(self, agent: Agent, task: Task):
        self.errors: list[Point] = []

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> None:
        if "model_error" in metrics:
            self.errors.append(Point("model_error", agent.steps, metrics["model_error"]))

    def points(self) -> list[Point]:
        return self.errors
