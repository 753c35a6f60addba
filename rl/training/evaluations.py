"""Evaluation while training: every so many steps, the same deterministic episodes, written down."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl.agent import Agent
from rl.config import whole_number
from rl.experience.environments import EnvLike
from rl.runs.callbacks import Callback
from rl.runs.failures import WriteFailures, check_on_write_error
from rl.runs.run import folder_of
from rl.runs.table import KEY, Table
from rl.training.evaluation import play
from rl.training.statistics import iqm

EVALUATIONS = "evaluations.csv"


class Evaluations(Callback):
    """Evaluates the agent every `every` steps, tells everybody, and appends a row to evaluations.csv.

    A row holds the steps, the seconds of the evaluation, the mean and the interquartile mean of
    the returns, the mean length, the share of successes where the environment tells them, and
    return, length and success of each episode. The episodes begin from the same seeds every time,
    so rows differ by what was learned. Training goes on as it would have without them, unless it is
    given the training's own environment. A `Run` keeps the best agent.

    Where evaluations.csv exists it is gone on with, as a resumed run does: rows from the first
    step on that is taken again are dropped.

    Parameters
    ----------
    folder : path or None
        Of the run; None: of the one that `learn` is given as `log`. Without any, nothing is
        written.
    env : str, gymnasium.Env, VectorEnv, …
        As `evaluate` takes it.
    every : int
        Steps.
    episodes, seed : int
        As `evaluate` takes them.
    env_settings : mapping, optional
        Keyword arguments of an id's environment.
    on_write_error : {"stop", "warn"}
        See `Run`.

    Attributes
    ----------
    seconds : float
        That evaluations took so far.
    """

    def __init__(
        self,
        folder: str | os.PathLike | None,
        env: EnvLike,
        every: int,
        episodes: int = 10,
        seed: int = 1,
        *,
        env_settings: Mapping[str, Any] | None = None,
        on_write_error: str = "stop",
    ):
        self.every = whole_number("every", every, 1)
        self.episodes, self.seed = whole_number("episodes", episodes, 1), whole_number("seed", seed, 0)
        self.env, self.env_settings = env, env_settings
        self.on_write_error = check_on_write_error(on_write_error)
        self.seconds = 0.0
        self.table: Table | None = None
        self._due: int | None = None
        if folder is not None:
            self._open(Path(folder))

    def _open(self, folder):
        self._failures = WriteFailures(folder, self.on_write_error)
        self.table = Table.read(folder / EVALUATIONS)

    def on_start(self, agent: Agent) -> None:
        self._begun = agent.steps
        if self.table is None and (folder := folder_of(agent)) is not None:
            self._open(folder)

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> bool | None:
        if self._due is None:
            self._due = self._first_due(agent.steps)
        if agent.steps < self._due:
            return None
        start = time.monotonic()
        result = play(agent, self.env, self.episodes, self.seed, env_settings=self.env_settings)
        self._due = (agent.steps // self.every + 1) * self.every
        seconds = time.monotonic() - start
        self.seconds += seconds
        if self.table is not None:
            with self._failures.handled(EVALUATIONS):
                self.table.append({KEY: agent.steps, "seconds": round(seconds, 3), **_row(result)})
                self.table.sync()
        return agent.callbacks.on_evaluation(agent, result)

    def _first_due(self, steps):
        """The first step to evaluate at: the one after the last row of what was learned so far."""
        if self.table is None:
            return (self._begun // self.every + 1) * self.every
        self.table.keep_until(steps - 1)
        last = float(self.table.rows[-1][KEY]) if self.table.rows else 0
        return int(last // self.every + 1) * self.every


def _row(result) -> dict[str, float]:
    """The columns of an evaluation."""
    returns, lengths = result["return"], result["length"]
    row = {"mean": float(returns.mean()), "iqm": float(iqm(returns)), "length": float(lengths.mean())}
    known = result["success"][~np.isnan(result["success"])] if "success" in result else np.empty(0)
    if known.size:
        row["success"] = float(known.mean())
    figures = {name: result[name] for name in ("return", "length", "success") if name in result}
    return row | {f"{name}_{i}": float(value) for name, values in figures.items() for i, value in enumerate(values)}


def read_evaluations(folder: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """A run's evaluations: steps (K,) and returns (K, episodes).

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    ValueError
        If a number of steps is none.
    """
    columns = Table.read(Path(folder) / EVALUATIONS).columns()
    if not columns:
        raise FileNotFoundError(f"expected a run's folder with an {EVALUATIONS}, found no rows in {folder}")
    returns = [values for name, values in columns.items() if name.startswith("return_")]
    steps = np.array(columns[KEY])
    if not (np.abs(steps) < 2**53).all():  # also where one is NaN
        raise ValueError(f"{Path(folder) / EVALUATIONS}: expected whole numbers of steps, given {steps}")
    return steps.astype(int), np.array(returns).T
