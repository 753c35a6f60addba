"""One trial of a tuning: settings from Optuna, a training, and how good it became.

    <folder>/study.db        the study, an SQLite database that Optuna's own tools read
           /study.json       what is tuned, and how
           /trials/<n>.txt   what a process printed
           /best.toml        the best settings so far, as a recipe

A trial's value is the mean of its last two evaluations, so one that was lucky does not decide.
"""

import importlib.util
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from deepnp import NonFiniteError
from rl.agent import Agent
from rl.algorithms import ALGORITHMS
from rl.config import settings_from_json, settings_to_json
from rl.runs.callbacks import Callback
from rl.runs.interrupt import Interrupt
from rl.runs.lock import FolderLock
from rl.training.evaluations import Evaluations
from rl.training.search import space_from_json, suggest
from rl.training.statistics import score_text

if TYPE_CHECKING:
    import optuna

STUDY, DATABASE, TRIALS = "study.json", "study.db", "trials"
LAST = 2  # evaluations that make a trial's value
PATIENCE, ASK_SECONDS = 60, 0.05  # for which a process waits while another writes, or asks
PRUNERS = "median", "hyperband", "none"
STARTUP = 5  # trials that run to their end before any is pruned


def need_optuna() -> Any:
    """Optuna.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise ImportError('expected Optuna for tuning: pip install "deepnp-rl[tune]"')
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def open_study(folder: str | os.PathLike, job: Mapping[str, Any], seed: int = 0) -> "optuna.Study":
    """The study in a folder, begun if it is new; `seed` is the sampler's.

    Raises
    ------
    ValueError
        If its file is damaged.
    """
    optuna = need_optuna()
    from sqlalchemy import URL, exc  # which Optuna brings

    path = os.path.abspath(Path(folder) / DATABASE)
    url = URL.create("sqlite", database=path).render_as_string()
    try:
        storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": PATIENCE}})
    except (exc.SQLAlchemyError, RuntimeError) as error:
        raise ValueError(f"{path} is no study of this version of Optuna's: {error}") from error
    pruner = {
        "median": lambda: optuna.pruners.MedianPruner(STARTUP, n_warmup_steps=job["evaluations"] // 4),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(1, job["evaluations"]),
        "none": optuna.pruners.NopPruner,
    }[job["pruner"]]()
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.create_study(
        storage=storage, sampler=sampler, pruner=pruner, study_name="deepnp", direction="maximize", load_if_exists=True
    )


def run_trial(job: dict[str, Any]) -> bool:
    """Take the next trial of a study, in this process; whether it came to its end.

    One whose training diverges, or whose settings exclude each other, is pruned. One that is asked
    to end is taken again later, with the same settings.
    """
    optuna = need_optuna()
    study = open_study(job["folder"], job, int(np.random.SeedSequence([job["seed"], job["number"]]).generate_state(1)[0]))
    trial, states = _ask(study, Path(job["folder"]) / TRIALS), optuna.trial.TrialState
    with Interrupt() as interrupt:
        try:
            told = Told(trial, interrupt, job["steps"] // job["evaluations"])
            _train(job, trial, told)
        except (NonFiniteError, InvalidSettingsError) as error:
            print(f"trial {trial.number}: pruned: {error}", flush=True)
            study.tell(trial, state=states.PRUNED)
            return True
        except BaseException:
            study.tell(trial, state=states.FAIL)
            raise
        if interrupt.requested:
            study.enqueue_trial(trial.params)
            study.tell(trial, state=states.FAIL)
            print(f"trial {trial.number}: stopped", flush=True)
            return False
    if told.pruned:
        study.tell(trial, state=states.PRUNED)  # its value is what it reported last
    else:
        study.tell(trial, told.value)
    print(f"trial {trial.number}: {'pruned at ' if told.pruned else ''}{score_text(told.value)} with {trial.params}", flush=True)
    return True


class InvalidSettingsError(ValueError):
    """Settings that are right by themselves and exclude each other."""


class Told(Callback):
    """Reports evaluations to Optuna, and ends a training that Optuna prunes."""

    def __init__(self, trial: "optuna.Trial", interrupt: Interrupt, every: int):
        self.trial, self.interrupt, self.every = trial, interrupt, every
        self.returns: list[float] = []
        self.pruned = False

    @property
    def value(self) -> float:
        """Of the trial."""
        return float(np.mean(self.returns[-LAST:]))

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> bool:
        return not self.interrupt.requested

    def on_evaluation(self, agent: Agent, result: Mapping[str, np.ndarray]) -> bool:
        self.returns.append(float(result["return"].mean()))
        if not np.isfinite(self.value):
            raise NonFiniteError(f"the mean return of an evaluation is {self.returns[-1]}")
        self.trial.report(self.value, agent.steps // self.every)  # compared at the same steps: not all have as many
        self.pruned = self.trial.should_prune()
        return not self.pruned


def _ask(study: "optuna.Study", folder: Path) -> "optuna.Trial":
    """The next trial, while no other process asks: with SQLite two could take the same one that waits."""
    folder.mkdir(exist_ok=True)
    while True:
        try:
            lock = FolderLock(folder)
        except BlockingIOError:
            time.sleep(ASK_SECONDS)
            continue
        try:
            return study.ask()
        finally:
            lock.release()


def _train(job, trial, told) -> None:
    algorithm, spec = ALGORITHMS[job["algorithm"]], EnvSpec.from_json(job["env"])
    chosen = suggest(trial, space_from_json(job["space"]), algorithm.config)
    try:
        base = settings_from_json(algorithm.config, job["config"])
        config = settings_from_json(algorithm.config, settings_to_json(base) | chosen)
    except ValueError as error:
        raise InvalidSettingsError(str(error)) from error
    with algorithm.cls(spec, config, job["seed"]) as agent:
        agent.learn(job["steps"], [Evaluations(None, spec, told.every, job["episodes"]), told])
