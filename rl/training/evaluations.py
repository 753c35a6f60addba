"""Evaluation while training: every so many steps, the same deterministic episodes, written down."""

import os
import time
from pathlib import Path

import numpy as np

from rl.agent import Agent
from rl.config import whole_number
from rl.experience.environments import EnvLike
from rl.runs.callbacks import Callback
from rl.runs.table import KEY, Table
from rl.training.evaluation import play
from rl.training.statistics import iqm

EVALUATIONS = "evaluations.csv"


class Evaluations(Callback):
    """Evaluates while training: a callback that evaluates the agent every `every` steps and appends a row to evaluations.csv.

    A row holds the steps, the seconds of the evaluation, the mean and the interquartile mean of
    the returns, and each return. The episodes begin from the same seeds every time, so rows
    differ by what was learned. Training goes on as it would have without them, unless it is given
    the training's own environment.

    Where evaluations.csv exists it is gone on with, as a resumed run does: rows from the first
    step on that is taken again are dropped.

    Parameters
    ----------
    folder : path
        Of the run.
    env : str, gymnasium.Env, VectorEnv, …
        As `evaluate` takes it.
    every : int
        Steps.
    episodes, seed : int
        As `evaluate` takes them.

    Attributes
    ----------
    seconds : float
        That evaluations took so far.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        env: EnvLike,
        every: int,
        episodes: int = 10,
        seed: int = 1,
    ):
        self.every = whole_number("every", every, 1)
        self.episodes, self.seed = whole_number("episodes", episodes, 1), whole_number("seed", seed, 0)
        self.env = env
        self.table = Table.read(Path(folder) / EVALUATIONS)
        self.seconds = 0.0
        self._due: int | None = None

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> bool | None:
        if self._due is None:
            self.table.keep_until(agent.steps - 1)
            last = float(self.table.rows[-1][KEY]) if self.table.rows else 0
            self._due = int(last // self.every + 1) * self.every
        if agent.steps < self._due:
            return None
        start = time.monotonic()
        result = play(agent, self.env, self.episodes, self.seed)
        returns = result["return"]
        self._due = (agent.steps // self.every + 1) * self.every
        seconds = time.monotonic() - start
        self.seconds += seconds
        row = {KEY: agent.steps, "seconds": round(seconds, 3), "mean": float(returns.mean()), "iqm": float(iqm(returns))}
        self.table.append(row | {f"return_{i}": float(value) for i, value in enumerate(returns)})
        self.table.sync()
        return agent.callbacks.on_evaluation(agent, result)


def read_evaluations(folder: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """A run's evaluations: steps (K,) and returns (K, episodes).

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    """
    columns = Table.read(Path(folder) / EVALUATIONS).columns()
    if not columns:
        raise FileNotFoundError(f"expected a run's folder with an {EVALUATIONS}, found no rows in {folder}")
    returns = [values for name, values in columns.items() if name.startswith("return_")]
    return np.array(columns[KEY], int), np.array(returns).T
