"""A run's folder: config.json, progress.csv, checkpoints.

    runs/<name>/config.json                        algorithm, settings, seed, environment, options
               /progress.csv                       a row of metrics per iteration
               /checkpoints/last.safetensors
               /checkpoints/previous.safetensors   the one before, in case the last is damaged

One process at a time writes to a folder. Files are written whole or not at all, rows are
appended, and nothing of another run is overwritten. From the moment that config.json exists there
is a checkpoint, so whatever stops a run, it can be resumed.
"""

import json
import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from deepnp import NonFiniteError
from deepnp.storage import load_metadata, save_json
from rl.config import whole_number
from rl.runs.callbacks import Callback
from rl.runs.interrupt import signals_deferred
from rl.runs.lock import FolderLock
from rl.runs.table import KEY, Table

CONFIG, PROGRESS = "config.json", "progress.csv"


class Trained(Protocol):
    """What is trained: an `Agent`."""

    config: Any
    seed: int
    steps: int
    total_steps: int
    env_name: str | None

    def save(self, path: str | os.PathLike) -> None: ...


class Run(Callback):
    """Writes a training down as it goes: `agent.learn(steps, log=run)`.

    Parameters
    ----------
    folder : path
        Made if need be.
    agent : Agent
        What is trained.
    env : str
        The environment's id, for the record.
    total_steps : int
        How long the training is to be: schedules depend on it, so a resumed run needs it.
    checkpoint_seconds : float
        A checkpoint is written when this much time has gone by since the last.
    options : mapping, optional
        What else it takes to begin this run again, as JSON knows it: the environment's own
        settings, the command line.

    Attributes
    ----------
    progress : Table
    options : dict

    Raises
    ------
    FileExistsError
        If the folder holds a run already.
    BlockingIOError
        If another process is training in it.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        agent: Trained,
        env: str,
        total_steps: int,
        checkpoint_seconds: float = 60.0,
        options: Mapping[str, Any] | None = None,
    ):
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._open(folder, checkpoint_seconds, agent.steps)
        if any((self.folder / name).exists() for name in (CONFIG, PROGRESS)):
            self.close()
            raise FileExistsError(f"{self.folder} holds a run already: expected a new folder")
        self._record = {
            "algorithm": agent.config.algorithm,
            "env": env,
            "seed": agent.seed,
            "total_steps": whole_number("total_steps", total_steps, 1),
            "config": asdict(agent.config),
            "options": dict(options or {}),
        }
        self.progress = Table(self.folder / PROGRESS)
        agent.save(self.checkpoint)
        save_json(self.folder / CONFIG, self._record)

    @classmethod
    def resume(cls, folder: str | os.PathLike, agent: Trained, checkpoint_seconds: float = 60.0) -> "Run":
        """Go on with a run whose checkpoint `agent` was loaded from.

        Rows beyond the checkpoint are dropped. Rows that are not whole are left out with a
        warning, and so is a progress.csv that ends before the checkpoint.

        Raises
        ------
        FileNotFoundError
            If the folder holds no run.
        BlockingIOError
            If another process is training in it.
        ValueError
            If the folder's latest checkpoint is another one: somebody trained in it since.
        """
        run = cls.__new__(cls)
        run._record = read_config(folder)
        run._open(folder, checkpoint_seconds, agent.steps)
        steps = load_metadata(run.checkpoint if run.checkpoint.exists() else previous_of(folder)).get("steps")
        if steps != agent.steps:
            run.close()
            raise ValueError(f"expected the agent of {folder}'s latest checkpoint, at step {steps}, given step {agent.steps}")
        run.progress = Table.read(run.folder / PROGRESS)
        run.progress.keep_until(agent.steps)
        last = run.progress.rows[-1] if run.progress.rows else {KEY: "0", "seconds": "0"}
        if float(last[KEY]) < agent.steps:
            lost = f"steps {float(last[KEY]):,.0f} to {agent.steps:,} are missing"
            warnings.warn(f"{run.progress.path} ends before the checkpoint: {lost}", stacklevel=2)
        run._start -= float(last.get("seconds") or 0)
        return run

    def _open(self, folder, checkpoint_seconds, steps):
        self.folder = Path(folder)
        self.checkpoint = checkpoint_of(folder)
        self._lock = FolderLock(folder)
        self._every = checkpoint_seconds
        self._start = self._saved = time.monotonic()
        self._saved_steps = steps

    @property
    def total_steps(self) -> int:
        """How long the training is to be."""
        return self._record["total_steps"]

    @property
    def options(self) -> dict[str, Any]:
        """What the run was begun with, besides its algorithm's settings."""
        return self._record.get("options", {})

    def extend(self, total_steps: int) -> None:
        """Record another length, so that the run goes on to it when it is resumed."""
        if total_steps != self.total_steps:
            self._record["total_steps"] = whole_number("total_steps", total_steps, 1)
            save_json(self.folder / CONFIG, self._record)

    def on_start(self, agent: Trained) -> None:
        self.extend(agent.total_steps)

    def on_update(self, agent: Trained, metrics: dict[str, float]) -> None:
        self.progress.append({"seconds": round(time.monotonic() - self._start, 3), **metrics})
        if time.monotonic() - self._saved > self._every:
            self.save(agent)

    def on_end(self, agent: Trained, error: BaseException | None) -> None:
        if agent.steps != self._saved_steps and not isinstance(error, NonFiniteError):  # the last good checkpoint stays
            self.save(agent)

    def save(self, agent: Trained) -> None:
        """Write a checkpoint now, and keep the one before; signals wait until both are in place."""
        with signals_deferred():
            self.progress.sync()
            agent.save(_next_of(self.folder))
            _keep(self.checkpoint, previous_of(self.folder))
            os.replace(_next_of(self.folder), self.checkpoint)
        self._saved, self._saved_steps = time.monotonic(), agent.steps

    def close(self) -> None:
        """Let another process train in the folder; the end of this one does the same."""
        self._lock.release()


def run_at(log: str | os.PathLike | Run, agent: Trained, total_steps: int) -> Run:
    """The run that `learn(log=…)` asks for.

    Raises
    ------
    TypeError
        For what is no path, no Run and none of the words.
    """
    if isinstance(log, Run):
        return log
    if not isinstance(log, str | os.PathLike):
        raise TypeError(f'expected log as "csv", "tensorboard", a path or a Run, given {log!r:.80}')
    name = agent.env_name or "environment"
    folder = new_folder(Path("runs") / f"{agent.config.algorithm}-{name.replace('/', '-')}") if log == "csv" else log
    return Run(folder, agent, name, total_steps)


def new_folder(base: str | os.PathLike) -> Path:
    """Make `base`, or the first of base-2, base-3, … that does not exist yet.

    Two processes never get the same one.
    """
    base, number = Path(base), 1
    folder = base
    base.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
            folder = base.with_name(f"{base.name}-{number}")


def checkpoint_of(folder: str | os.PathLike) -> Path:
    """Where a run keeps its latest checkpoint."""
    return Path(folder) / "checkpoints" / "last.safetensors"


def previous_of(folder: str | os.PathLike) -> Path:
    """Where a run keeps the checkpoint before the latest."""
    return Path(folder) / "checkpoints" / "previous.safetensors"


def _next_of(folder) -> Path:
    return Path(folder) / "checkpoints" / "next.safetensors"


def _keep(last: Path, previous: Path) -> None:
    """Give the latest checkpoint its second name; where files have one name only, move it there."""
    if not last.exists():
        return
    previous.unlink(missing_ok=True)
    try:
        os.link(last, previous)
    except OSError:
        os.replace(last, previous)


def read_config(folder: str | os.PathLike) -> dict[str, Any]:
    """What a run was begun with: algorithm, env, seed, total_steps, config, options.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    ValueError
        If its config.json is damaged.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"expected a run's folder with a {CONFIG}, found none in {folder}")
    try:
        record = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not whole: {error}") from error
    lacking = sorted({"algorithm", "env", "seed", "total_steps", "config"} - (record.keys() if isinstance(record, dict) else set()))
    if lacking:
        raise ValueError(f"{path} is not a run's: it lacks {lacking}")
    return record


def read_progress(folder: str | os.PathLike) -> dict[str, list[float]]:
    """The columns of a run's progress.csv; NaN where a value is missing.

    Warns of rows that are not whole.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    """
    read_config(folder)
    return Table.read(Path(folder) / PROGRESS).columns()
