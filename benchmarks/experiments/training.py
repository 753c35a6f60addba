"""One training of an experiment, and everything that is measured of it."""

import time
from collections.abc import Sequence

from benchmarks.experiments.experiment import Experiment, Key, Point
from benchmarks.experiments.watchers import Curve
from deepnp import NonFiniteError
from rl.training.evaluation import play
from rl.training.overestimation import overestimation

EPISODES, PROBES = 20, 10  # of the final policy; of the overestimation


def train(experiment: Experiment, key: Key) -> tuple[dict[str, float], Sequence[Point]]:
    """Figures and curves of one training.

    A training whose values become infinite ends there: "reached" are its steps, the score is that of
    the policy it ended with.
    """
    variant, task, start = experiment.variants[key.variant], experiment.tasks[key.task], time.perf_counter()
    config = variant.algorithm.Config(**{**experiment.shared, **variant.settings})
    with variant.algorithm(task.env, config, seed=key.seed, env_settings=task.settings) as agent:
        watchers = [Curve(task, key.steps, experiment.score), *(make(agent, task) for make in experiment.watch)]
        try:
            agent.learn(key.steps, watchers)
        except NonFiniteError as error:
            print(f"{key}: {error}", flush=True)
        scores = experiment.score(play(agent, task.env, EPISODES, env_settings=task.settings), task)
        probe = overestimation(agent, task.env, PROBES, env_settings=task.settings)
        points = [point for watcher in watchers for point in watcher.points()]
        points += experiment.after(agent, key.seed) if experiment.after else ()
    figures = {"reached": agent.steps, "score": scores.mean(), "spread": scores.std(), "worst": scores.min()}
    figures |= {name: probe[name].mean() for name in ("bias", "smallest_bias")}
    for watcher in watchers:
        figures |= watcher.columns()
    return {**figures, "seconds": time.perf_counter() - start}, points
