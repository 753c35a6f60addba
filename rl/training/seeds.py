"""Several seeds of one training, side by side in processes of their own.

    <folder>/seed-0/            a run's folder, as `learn(log=…)` writes it, with evaluations.csv
           /seed-0/output.txt   what the process printed
           /seed-1/ …

What one seed learns does not depend on the others, nor on how many run at once.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gymnasium.envs.registration import EnvSpec

from rl.algorithms import ALGORITHMS
from rl.config import settings_from_json, settings_to_json, whole_number
from rl.experience.environments import spec_of
from rl.runs.record import CONFIG, read_config
from rl.runs.run import Run
from rl.training.evaluations import Evaluations, read_evaluations
from rl.training.explorer import explore_at_end
from rl.training.processes import Job, Runner, failures, last_line, run_jobs, shares
from rl.training.recipes import algorithm_named
from rl.training.resume import resume
from rl.training.statistics import Interval, bootstrap_interval, iqm, score_text
from rl.training.train import train

OUTPUT = "output.txt"
EVALUATIONS = 10  # of each training, unless told
TOLD = 4  # differences that an error names


@dataclass(frozen=True)
class Seeds:
    """What became of several seeds.

    Attributes
    ----------
    folders : dict of int to Path
        Seed -> its run.
    scores : dict of int to float
        Seed -> mean return of its last evaluation, of those that were trained to their end.
    failures : dict of int to str
        Seed -> the last line that it printed, of those that failed.
    """

    folders: Mapping[int, Path]
    scores: Mapping[int, float]
    failures: Mapping[int, str]

    @property
    def stopped(self) -> list[int]:
        """Seeds that were asked to end before their time. The same call again goes on with them."""
        return [seed for seed in self.folders if seed not in self.scores and seed not in self.failures]

    @property
    def iqm(self) -> float:
        """Interquartile mean of the scores.

        Raises
        ------
        ValueError
            If there are none.
        """
        return float(iqm(list(self.scores.values())))

    @property
    def interval(self) -> Interval:
        """Its 95 % bootstrap interval."""
        return bootstrap_interval(list(self.scores.values()))

    def describe(self) -> str:
        """In words."""
        lines = [f"seed {seed}: {score_text(score)}" for seed, score in self.scores.items()]
        lines += [f"seed {seed}: failed: {reason}" for seed, reason in self.failures.items()]
        lines += [f"seed {seed}: stopped" for seed in self.stopped]
        if self.scores:
            low, high = (score_text(float(end)) for end in self.interval)
            mean, count = score_text(self.iqm), len(self.scores)
            lines.append(f"{count} seed{'s' if count > 1 else ''}: interquartile mean {mean} [{low}, {high}]")
        return "\n".join(lines)


def train_seeds(
    algorithm: str,
    env: str | EnvSpec,
    config: Any = None,
    seeds: int | Iterable[int] = 5,
    steps: int = 100_000,
    folder: str | os.PathLike = "runs/seeds",
    *,
    env_settings: Mapping[str, Any] | None = None,
    every: int | None = None,
    episodes: int = 10,
    at_once: int | None = None,
    progress: bool = False,
    runner: Runner = run_jobs,
) -> Seeds:
    """Train several seeds, each in a process of its own, and evaluate them on a schedule.

    Ctrl-C, SIGTERM and SIGHUP end all of them, each with a checkpoint. The same call again goes on
    with those that did not come to their end. A seed that fails leaves the others alone.

    Parameters
    ----------
    algorithm : str
        Of `rl.ALGORITHMS`; capitals do not matter.
    env : str or EnvSpec
        An id, also "module:Name-v0". Its entry point must be a string, for another process makes it.
    config : dataclass, optional
        The algorithm's settings. A schedule may be one of rl/schedules.py, but no function.
    seeds : int, or several
        How many, from 0 on, or which.
    steps : int
        Of each.
    folder : path
        Gets a run's folder for each seed.
    env_settings : mapping, optional
        The environment's keyword arguments.
    every : int, optional
        Steps between evaluations; a tenth of `steps` by default.
    episodes : int
        Of an evaluation.
    at_once : int, optional
        Processes at a time: as many as `deepnp.get_num_threads()` by default. They share the
        threads.
    progress : bool
        Print the state of each seed every ten seconds.
    runner : callable
        What does the jobs: processes of this machine, or `rl.cluster.tasks.RayTasks()`.

    Raises
    ------
    ValueError
        For an unknown algorithm or environment, or settings that cannot be written down; and if the
        folder holds a seed of another training.
    """
    chosen = algorithm_named(algorithm)
    config = chosen.config() if config is None else config
    if type(config) is not chosen.config:
        raise TypeError(f"expected a {chosen.config.__name__}, given {type(config).__name__}")
    steps = whole_number("steps", steps, 1)
    every = max(1, steps // EVALUATIONS) if every is None else whole_number("every", every, 1)
    if every > steps:
        raise ValueError(f"expected an evaluation within {steps} steps, given every {every}")
    settings = settings_to_json(config)
    settings_from_json(chosen.config, settings)  # raises here, and not in every process, for a function
    content = {
        "algorithm": chosen.name,
        "env": portable(env, env_settings),
        "name": env if isinstance(env, str) else env.id,  # with the module that registers it, where one is named
        "config": settings,
        "steps": steps,
        "every": every,
        "episodes": whole_number("episodes", episodes, 1),
    }
    folders = {seed: Path(folder) / f"seed-{seed}" for seed in _numbers(seeds)}
    for seed, place in folders.items():
        _check_same(place, {**content, "seed": seed})
    jobs = [Job("seed", {**content, "seed": n, "folder": str(f.absolute())}, f / OUTPUT) for n, f in folders.items()]
    at_once, threads = shares(len(jobs), None if at_once is None else whole_number("at_once", at_once, 1))
    codes = runner(jobs, at_once, threads, Watch(folders) if progress else lambda: None)
    failed = {list(folders)[i]: reason for i, reason in failures(jobs, codes).items()}
    return _summary(folders, [seed for seed, code in zip(folders, codes, strict=True) if code == 0], failed)


def train_seed(job: dict[str, Any]) -> bool:
    """Train one seed, in this process, from its beginning or its latest checkpoint; whether it came to its end."""
    folder, spec, steps = Path(job["folder"]), EnvSpec.from_json(job["env"]), job["steps"]
    if (folder / CONFIG).exists():
        agent, run = resume(folder, spec)
    else:
        algorithm = ALGORITHMS[job["algorithm"]]
        agent = algorithm.cls(spec, settings_from_json(algorithm.config, job["config"]), job["seed"])
        evaluation = {"eval_every": job["every"], "eval_episodes": job["episodes"]}  # as the command line's `resume` reads it
        run = Run(folder, agent, job.get("name", spec.id), steps, options={"evaluation": evaluation})
    with agent:
        finished = train(agent, run, steps, callback=Evaluations(folder, spec, job["every"], job["episodes"]))
    explore_at_end(folder)
    return finished


def portable(env: str | EnvSpec, settings: Mapping[str, Any] | None = None) -> str:
    """An environment with its keyword arguments as JSON, for another process.

    Raises
    ------
    TypeError
        If it is no id and no spec.
    ValueError
        If the id is unknown, or an argument or the entry point is nothing that JSON knows.
    """
    if not isinstance(env, str | EnvSpec):
        raise TypeError(f"expected an environment's id or spec, for other processes make it, given {type(env).__name__}")
    spec = spec_of(env)
    try:
        return replace(spec, kwargs={**spec.kwargs, **(settings or {})}).to_json()
    except (TypeError, ValueError) as error:
        raise ValueError(f'expected "module:class" and arguments that JSON knows, given {spec.id}: {error}') from error


class Watch:
    """Prints what the seeds say, every so many seconds."""

    def __init__(self, folders: Mapping[int, Path], seconds: float = 10.0):
        self.folders, self.seconds = folders, seconds
        self._due = time.monotonic() + seconds

    def __call__(self) -> None:
        if time.monotonic() >= self._due:
            self._due += self.seconds
            lines = [f"seed {seed}: {last_line(folder / OUTPUT) or 'waiting'}" for seed, folder in self.folders.items()]
            print("\n".join(lines), flush=True)


def _numbers(seeds: int | Iterable[int]) -> list[int]:
    given = seeds if isinstance(seeds, Iterable) else range(whole_number("seeds", seeds, 1))
    numbers = [whole_number("a seed", seed, 0) for seed in given]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"expected seeds as a number of them, or as different numbers, given {seeds!r:.80}")
    return numbers


def _check_same(folder: Path, job: dict[str, Any]) -> None:
    """Raise ValueError if the folder holds a run that is not this job's."""
    if not (folder / CONFIG).exists():
        return
    spec = json.loads(job["env"])
    expected = {"algorithm": job["algorithm"], "seed": job["seed"], "config": job["config"]}
    expected["env"] = job.get("name", spec["id"])
    expected["env_settings"] = spec["kwargs"]
    record, given = read_config(folder), json.loads(json.dumps(expected))
    differing = [text for name, value in given.items() for text in _differing(name, record.get(name, value), value)]
    if differing:
        more = "; …" if len(differing) > TOLD else ""
        raise ValueError(f"expected a new folder, or one of the same training: {folder} has {'; '.join(differing[:TOLD])}{more}")


def _differing(name: str, known: Any, given: Any) -> list[str]:
    """What differs between two values; of two tables, each entry that does."""
    if isinstance(known, dict) and isinstance(given, dict) and name in ("config", "env_settings"):
        return [text for key in dict.fromkeys([*known, *given]) for text in _differing(key, known.get(key), given.get(key))]
    return [] if known == given else [f"{name} {known!r:.60}, given {given!r:.60}"]


def _summary(folders: Mapping[int, Path], ended: Sequence[int], failed: dict[int, str]) -> Seeds:
    scores = {}
    for seed in ended:
        try:
            scores[seed] = float(read_evaluations(folders[seed])[1][-1].mean())
        except FileNotFoundError as error:
            failed[seed] = str(error)
    return Seeds(folders, scores, failed)
