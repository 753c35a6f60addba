"""Tuning: settings that suit a task, found by Optuna.

    for each trial, several at once in processes of their own
        settings ← Optuna's sampler (TPE), from what earlier trials had
        train; report each evaluation; stop early if Optuna's pruner says so
    best.toml ← the best trial's settings, as a recipe

The first trial has the settings that the tuning began with, as far as the space holds them. So the
result is at least as good, in these episodes and with this seed. A tuning fits its seed as it fits
its task: confirm what it found with seeds that it has not seen (`rl.training.seeds`).
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymnasium.envs.registration import EnvSpec

from deepnp.storage import save_json
from rl.algorithms import ALGORITHMS
from rl.config import settings_from_json, settings_to_json, whole_number
from rl.runs.lock import FolderLock
from rl.training.processes import STOPPED, Job, Runner, failures, run_jobs, shares
from rl.training.recipes import Recipe, algorithm_named, changed_settings, text_of, write_recipes
from rl.training.search import Domain, completed, label, settings_of, space_from_json, space_of, space_to_json
from rl.training.seeds import portable
from rl.training.statistics import score_text
from rl.training.trial import LAST, PRUNERS, STUDY, TRIALS, need_optuna, open_study

if TYPE_CHECKING:
    import optuna

BEST = "best.toml"


@dataclass(frozen=True)
class Tuned:
    """What a tuning found.

    Attributes
    ----------
    recipe : Recipe or None
        The best trial's settings; None while no trial has come to its end.
    value : float or None
        That trial's.
    complete, pruned : int
        Trials so far.
    failures : dict of int to str
        Number of a trial's process -> the last line that it printed.
    stopped : bool
        Whether it was asked to end before its time. The same call again goes on.
    """

    recipe: Recipe | None
    value: float | None
    complete: int
    pruned: int
    failures: Mapping[int, str]
    stopped: bool

    def describe(self) -> str:
        """In words."""
        lines = [f"whole trials: {self.complete}, pruned: {self.pruned}" + (", stopped" if self.stopped else "")]
        lines += [f"trial failed: {reason}" for reason in dict.fromkeys(self.failures.values())]
        if self.recipe is not None and self.value is not None:
            lines.append(f"best: {score_text(self.value)} with " + ", ".join(f"{k}={v}" for k, v in self.recipe.settings.items()))
        return "\n".join(lines)


def tune(
    algorithm: str,
    env: str | EnvSpec,
    trials: int,
    steps: int,
    folder: str | os.PathLike,
    *,
    config: Any = None,
    space: Mapping[str, Domain | None] | Iterable[str] | None = None,
    env_settings: Mapping[str, Any] | None = None,
    evaluations: int = 10,
    episodes: int = 10,
    seed: int = 0,
    pruner: str = "median",
    at_once: int | None = None,
    runner: Runner = run_jobs,
) -> Tuned:
    """Search settings for a task, and write the best as a recipe.

    Ctrl-C, SIGTERM and SIGHUP keep what was done; the same call again goes on, also with more
    trials.

    Parameters
    ----------
    algorithm : str
        Of `rl.ALGORITHMS`; capitals do not matter.
    env : str or EnvSpec
        An id, also "module:Name-v0".
    trials : int
        In all, those that are pruned included.
    steps : int
        Of each.
    folder : path
        Gets study.db, study.json, best.toml, and trials/ with what the processes printed.
    config : dataclass, optional
        The settings to begin with, and those that are not searched.
    space : mapping, or names, optional
        What is searched: setting -> `Range`, `Choice`, or None for the usual domain. By default the
        settings that `space_of` lists.
    env_settings : mapping, optional
        The environment's keyword arguments.
    evaluations, episodes : int
        Evaluations of a trial, and episodes of each.
    seed : int
        Of all trainings, and of the sampler. With one process at a time the same seed finds the
        same.
    pruner : {"median", "hyperband", "none"}
        Which trials are given up early: those below the median of the others at the same
        evaluation; by successive halving (Li et al. 2018); none.
    at_once : int, optional
        Processes at a time: as many as `deepnp.get_num_threads()` by default. They share the
        threads.
    runner : callable
        What does the trials: processes of this machine, or `rl.cluster.tasks.RayTasks()`. All of
        them write to one SQLite file, which several machines can only do where their shared file
        system locks files.

    Returns
    -------
    Tuned

    Raises
    ------
    ImportError
        If Optuna is not installed.
    ValueError
        For settings, an environment or a space that cannot be; and if the folder holds another
        study.
    BlockingIOError
        If another process is tuning in the folder.
    """
    trials = whole_number("trials", trials, 1)
    at_once = None if at_once is None else whole_number("at_once", at_once, 1)
    job = {
        **_task(algorithm, env, config, env_settings),
        "steps": whole_number("steps", steps, 1),
        "evaluations": whole_number("evaluations", evaluations, 1),
        "episodes": whole_number("episodes", episodes, 1),
        "seed": whole_number("seed", seed, 0),
        "pruner": pruner,
    }
    job["space"] = _space(job, space)
    _check(job)
    need_optuna()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder)
    try:
        return _search(folder, json.loads(json.dumps(job)), trials, at_once, runner)
    finally:
        lock.release()


def _task(algorithm, env, config, env_settings) -> dict[str, Any]:
    chosen = algorithm_named(algorithm)
    config = chosen.config() if config is None else config
    if type(config) is not chosen.config:
        raise TypeError(f"expected a {chosen.config.__name__}, given {type(config).__name__}")
    return {"algorithm": chosen.name, "env": portable(env, env_settings), "config": settings_to_json(config)}


def _space(job, space) -> dict[str, Any]:
    algorithm = ALGORITHMS[job["algorithm"]]
    usual = space_of(algorithm.config, algorithm.takes, job["steps"])
    return space_to_json(usual if space is None else completed(space, algorithm.config, usual))


def _check(job) -> None:
    """Raise now, and not in every trial, for what cannot be trained or written down."""
    if job["evaluations"] > job["steps"]:
        raise ValueError(f"expected at most as many evaluations as steps, {job['steps']}, given {job['evaluations']}")
    if job["pruner"] not in PRUNERS:
        raise ValueError(f"expected pruner as one of {PRUNERS}, given {job['pruner']!r:.80}")
    config, spec = settings_from_json(ALGORITHMS[job["algorithm"]].config, job["config"]), EnvSpec.from_json(job["env"])
    text_of([_recipe(job, config)])
    ALGORITHMS[job["algorithm"]].cls(spec, config).close()


def _search(folder: Path, job: dict[str, Any], trials: int, at_once: int | None, runner: Runner) -> Tuned:
    """Take the trials that are still to be taken."""
    _check_same(folder, job)
    study = open_study(folder, job)
    begun, left = len(study.trials), max(0, trials - len(_done(study)))
    _prepare(study, job)
    numbers = range(begun, begun + left)
    jobs = [Job("trial", {**job, "folder": str(folder.absolute()), "number": n}, folder / TRIALS / f"{n}.txt") for n in numbers]
    codes = runner(jobs, *shares(left, at_once), lambda: None)
    failed = {numbers[i]: reason for i, reason in failures(jobs, codes).items()}
    return _result(folder, study, job, failed, any(code in (None, STOPPED) for code in codes))


def _check_same(folder: Path, job: dict[str, Any]) -> None:
    """Write down what is tuned; raise ValueError if the folder holds another study."""
    path = folder / STUDY
    if not path.exists():
        save_json(path, job)
        return
    try:
        known = json.loads(path.read_bytes())
        differing = [name for name, value in job.items() if known[name] != value]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is not whole: {error!r}") from error
    if differing:
        name = differing[0]
        raise ValueError(f"expected a new folder, or the same {name}: the study in {folder} has {known[name]!r:.300}")


def _prepare(study: "optuna.Study", job: dict[str, Any]) -> None:
    """Have the settings to begin with, and trials that a killed process left, taken first."""
    states = need_optuna().trial.TrialState
    if not study.trials:
        config = settings_from_json(ALGORITHMS[job["algorithm"]].config, job["config"])
        space = space_from_json(job["space"])
        values = {name: getattr(config, name) for name in space}
        study.enqueue_trial({name: label(space[name], value) for name, value in values.items() if value in space[name]})
    for trial in study.get_trials(states=(states.RUNNING,)):
        study.tell(trial.number, state=states.FAIL)
        study.enqueue_trial(trial.params)


def _done(study: "optuna.Study") -> list:
    states = need_optuna().trial.TrialState
    return study.get_trials(states=(states.COMPLETE, states.PRUNED))


def _result(folder: Path, study: "optuna.Study", job: dict[str, Any], failed: Mapping[int, str], stopped: bool) -> Tuned:
    done = _done(study)
    complete = study.get_trials(states=(need_optuna().trial.TrialState.COMPLETE,))
    if not complete:
        return Tuned(None, None, 0, len(done), failed, stopped)
    best, algorithm = study.best_trial, ALGORITHMS[job["algorithm"]]
    config = settings_from_json(algorithm.config, {**job["config"], **settings_of(best.params, space_from_json(job["space"]))})
    told = f"{score_text(study.best_value)}: mean of the last {LAST} evaluations, {job['episodes']} deterministic episodes each"
    recipe = _recipe(job, config, f"deepnp tune: best of {len(done)} trials, seed {job['seed']}", told)
    write_recipes(folder / BEST, [recipe])
    return Tuned(recipe, study.best_value, len(complete), len(done) - len(complete), failed, stopped)


def _recipe(job: dict[str, Any], config: Any, source: str = "", result: str = "") -> Recipe:
    spec = EnvSpec.from_json(job["env"])
    return Recipe(job["algorithm"], spec.id, job["steps"], changed_settings(config), spec.kwargs, source, result)
