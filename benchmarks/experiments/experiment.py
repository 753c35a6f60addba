"""What an experiment is: variants × tasks × seeds of one training, and what is measured of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from rl.agent import Agent
from rl.algorithms.actor_critic.td2 import TD2
from rl.runs.callbacks import Callback

Played = Mapping[str, np.ndarray]  # what `rl.training.evaluation.play` returns of some episodes


class OneCritic(TD2):
    """TD2 with one critic: what the thesis on maximum entropy calls DDPG, its policy of fixed noise included."""

    critic_count = 1


class Variant(NamedTuple):
    """One column of the table: an algorithm, and the settings that are its own."""

    algorithm: type[Agent]
    settings: Mapping[str, Any]


class Task(NamedTuple):
    """An environment, and its keyword arguments."""

    env: str
    settings: Mapping[str, Any] | None = None


class Key(NamedTuple):
    """Which training a row of the table belongs to."""

    experiment: str
    variant: str
    task: str
    seed: int
    steps: int


class Point(NamedTuple):
    """One point of a curve of a training: value `value` of `name` at `at`."""

    name: str
    at: float
    value: float


class Watcher(Callback):
    """A callback that has figures to tell when the training is over."""

    def columns(self) -> dict[str, float]:
        """Figures for the training's row."""
        return {}

    def points(self) -> Sequence[Point]:
        """Curves over the training."""
        return ()


def returns(played: Played, task: Task) -> np.ndarray:
    """The score of each episode, where nothing else is asked for: its return."""
    return played["return"]


@dataclass(frozen=True)
class Experiment:
    """A table of trainings.

    Attributes
    ----------
    name, title : str
        As the command line calls it, and a line about it.
    variants, tasks : mappings by name
    steps : int
        Environment steps of a training.
    seeds : int
        How many: 0, 1, …
    shared : mapping
        Settings of all variants, as far as an algorithm has them.
    watch : sequence of callables
        Each makes a Watcher for (agent, task).
    score : callable
        The score (E,) of episodes, see `returns`.
    after : callable, optional
        Measures the trained agent last of all, and may change it: (agent, seed) -> points.
    """

    name: str
    title: str
    variants: Mapping[str, Variant]
    tasks: Mapping[str, Task]
    steps: int
    seeds: int
    shared: Mapping[str, Any] = field(default_factory=dict)
    watch: Sequence[Callable[[Agent, Task], Watcher]] = ()
    score: Callable[[Played, Task], np.ndarray] = returns
    after: Callable[[Agent, int], Sequence[Point]] | None = None

    def keys(self, steps: int | None, seeds: Sequence[int] | None, variants: Sequence[str] | None = None) -> list[Key]:
        """All trainings, or those of some variants, seed after seed, so that an early end leaves whole seeds."""
        steps, seeds = steps or self.steps, range(self.seeds) if seeds is None else seeds
        wanted = [name for name in self.variants if variants is None or name in variants]
        return [Key(self.name, v, t, seed, steps) for seed in seeds for t in self.tasks for v in wanted]
