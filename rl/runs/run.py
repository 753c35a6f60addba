"""A run's folder, and who writes it.

    runs/<name>/config.json          everything that it takes to repeat the run; see record.py
               /progress.csv         a row of metrics per iteration
               /checkpoints/         the latest, the one before, the best, the last few; see retention.py
               /events.out.tfevents… for TensorBoard, if wanted; see tensorboard.py

One process at a time writes to a folder. Files are written whole or not at all, rows are
appended, and nothing of another run is overwritten. From the moment that config.json exists there
is a checkpoint, so whatever stops a run, it can be resumed.
"""

import os
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from deepnp import NonFiniteError
from deepnp.storage import load_metadata, save_json
from rl.checkpoint import Saved, frozen
from rl.config import whole_number
from rl.experience.collector import NonFiniteStep
from rl.experience.replay import prepare_memories
from rl.runs.background import Background
from rl.runs.callbacks import Callback
from rl.runs.failures import WriteFailures, check_there, make_folder
from rl.runs.interrupt import signals_deferred
from rl.runs.lock import FolderLock
from rl.runs.record import CONFIG, Log, log_of, read_config, record_of
from rl.runs.retention import Retention, checkpoint_of, checkpoints_of
from rl.runs.stopping import StopOnSignal
from rl.runs.table import KEY, Table
from rl.runs.tensorboard import TensorBoard

PROGRESS = "progress.csv"
KINDS = ("csv", "tensorboard")


class Trained(Saved, Protocol):
    """What is trained: an `Agent`."""

    total_steps: int
    source: tuple | None

    def save(self, path: str | os.PathLike) -> None: ...


class Run(Callback):
    """Writes a training down as it goes: `agent.learn(steps, log=run)`.

    SIGTERM and SIGHUP end the training with everything saved, see `StopOnSignal`.

    Parameters
    ----------
    folder : path
        Made if need be; a link to a folder is followed.
    agent : Agent
        What is trained.
    env : str
        The environment's id, for the record.
    total_steps : int
        How long the training is to be: schedules depend on it, so a resumed run needs it.
    checkpoint_seconds : float or None
        A checkpoint is written when this much time has gone by since the last; None: only at the
        end.
    keep : int
        So many checkpoints stay, as checkpoints/step-<n>.safetensors.
    tensorboard : bool
        Write TensorBoard's events, too.
    on_write_error : {"stop", "warn"}
        What follows when something cannot be written, because the disk is full or the folder is
        gone: the training ends with an OSError, or it goes on with a warning. In both cases the
        agent stays as it is, and the last good checkpoint stays.
    options : mapping, optional
        What else it takes to begin this run again, as JSON knows it.

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
    ImportError
        If TensorBoard's events are wanted, and tensorboardX is not installed.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        agent: Trained,
        env: str,
        total_steps: int,
        *,
        checkpoint_seconds: float | None = 60.0,
        keep: int = 0,
        tensorboard: bool = False,
        on_write_error: str = "stop",
        options: Mapping[str, Any] | None = None,
    ):
        prepare_memories(agent)  # before a folder is made: they may not fit
        log = Log(checkpoint_seconds, keep, tensorboard, on_write_error)
        self._record = record_of(agent, env, total_steps, log, options or {})
        self._open(folder, agent.steps, log)
        try:
            self._begin(agent)
        except BaseException:
            self.close()
            raise

    def _begin(self, agent):
        if any((self.folder / name).exists() for name in (CONFIG, PROGRESS)):
            hint = "to go on with it, Run.resume(folder, agent), or `deepnp resume` on the command line"
            raise FileExistsError(f"{self.folder} holds a run already: expected a new folder; {hint}")
        self._retention.forget()
        self.progress = Table(self.folder / PROGRESS)
        agent.save(self.checkpoint)
        self._write_record()

    @classmethod
    def resume(cls, folder: str | os.PathLike, agent: Trained, log: Log | None = None) -> "Run":
        """Go on with a run whose checkpoint `agent` was loaded from.

        Rows beyond the checkpoint are dropped. Rows that are not whole are left out with a
        warning, and so is a progress.csv that ends before the checkpoint.

        Parameters
        ----------
        folder : path
        agent : Agent
        log : Log, optional
            How it is written down from now on; as before by default, `log_of(folder)`.

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
        run._record = before = read_config(folder)
        run._open(folder, agent.steps, log or log_of(folder))
        try:
            run._go_on(agent)
            if run._record != before:
                run._write_record()
        except BaseException:
            run.close()
            raise
        return run

    def _go_on(self, agent):
        latest = next((path for path in checkpoints_of(self.folder) if path.exists()), self.checkpoint)
        steps = load_metadata(latest).get("steps")
        if steps != agent.steps:
            raise ValueError(f"expected the agent of {self.folder}'s latest checkpoint, at step {steps}, given step {agent.steps}")
        self._retention.clean(agent.steps)
        self._best = self._retention.best_return()
        self.progress = Table.read(self.folder / PROGRESS)
        self.progress.keep_until(agent.steps)
        last = self.progress.rows[-1] if self.progress.rows else {KEY: "0", "seconds": "0"}
        if float(last[KEY]) < agent.steps:
            lost = f"steps {float(last[KEY]):,.0f} to {agent.steps:,} are missing"
            warnings.warn(f"{self.progress.path} ends before the checkpoint: {lost}", stacklevel=4)
        self._start -= float(last.get("seconds") or 0)

    def _open(self, folder, steps, log):
        self.folder = Path(folder)
        self.checkpoint = checkpoint_of(folder)
        self._board = TensorBoard(folder) if log.tensorboard else None
        make_folder(self.folder)
        self._lock = FolderLock(folder)
        self._record = {**self._record, "log": asdict(log)}
        self._every = np.inf if log.checkpoint_seconds is None else log.checkpoint_seconds
        self._retention = Retention(folder, log.keep)
        self._failures = WriteFailures(folder, log.on_write_error)
        self._signals = StopOnSignal()
        self._background = Background()
        self._start = self._saved = time.monotonic()
        self._saved_steps, self._best, self._recorded = steps, -np.inf, True

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
            self._write_record()

    def _write_record(self):
        self._recorded = False
        check_there(self.folder)
        save_json(self.folder / CONFIG, self._record)
        self._recorded = True

    def on_start(self, agent: Trained) -> None:
        self._signals.on_start(agent)
        with self._handled(CONFIG):
            self.extend(agent.total_steps)
        self._show(lambda board: board.on_start(agent))

    def on_update(self, agent: Trained, metrics: dict[str, float]) -> bool:
        with self._handled(PROGRESS):
            self.progress.append({"seconds": round(time.monotonic() - self._start, 3), **metrics})
        self._show(lambda board: board.on_update(agent, metrics))
        if self._background.finished:
            with self._handled("a checkpoint"):
                self._background.check()
        if time.monotonic() - self._saved > self._every and not self.writing:
            self.save_beside(agent)
        return self._signals.on_update(agent, metrics)

    def on_evaluation(self, agent: Trained, result: Mapping[str, np.ndarray]) -> None:
        self._show(lambda board: board.on_evaluation(agent, result))
        self._keep_best(agent, float(np.mean(result["return"])))

    def on_end(self, agent: Trained, error: BaseException | None) -> None:
        good = not isinstance(error, NonFiniteError) or isinstance(error, NonFiniteStep)
        try:
            with signals_deferred():
                self._finish(agent, good)
            if isinstance(error, NonFiniteError):
                error.add_note(f"the last good checkpoint is {self.checkpoint}, at step {self._saved_steps}")
            if isinstance(error, KeyboardInterrupt):
                error.add_note(f"what was learned until step {agent.steps:,} is saved; to go on: deepnp resume {self.folder}")
        finally:
            self._signals.on_end(agent, error)

    def _finish(self, agent, good):
        """Write what is missing, each thing whatever becomes of the others; the last good checkpoint stays."""
        with ExitStack() as stack:
            if good:
                stack.callback(self._save_missing, agent)
            stack.callback(self._show, lambda board: board.on_end(agent, None))
            self.wait()

    def _save_missing(self, agent):
        if agent.steps != self._saved_steps:
            self.save(agent)

    def save(self, agent: Trained) -> None:
        """Write a checkpoint now, and keep the one before; signals wait until both are in place."""
        with signals_deferred(), self._handled("a checkpoint"):
            self.save_beside(agent)
            self._background.wait()

    def save_beside(self, agent: Trained) -> None:
        """Write a checkpoint while the training goes on; what goes wrong is told at its next iteration."""
        steps, write = agent.steps, frozen(agent).write
        self._saved = time.monotonic()
        with self._handled(PROGRESS):
            self.progress.complete()

        def write_all(path):
            write(path)  # at once: training overwrites a frozen memory later
            self.progress.sync()  # the rows are on the disk before the checkpoint is called the last
            if self._board is not None:
                self._board.flush()

        def work():
            self._retention.write(write_all, steps)
            if not (self._recorded and (self.folder / CONFIG).exists()):
                self._write_record()
            self._saved_steps = steps

        self._background.start(work)

    def _keep_best(self, agent, mean):
        if not mean > self._best:
            return
        before, steps, write = self._best, agent.steps, frozen(agent, memory=False).write
        self._best = mean

        def work():
            try:
                self._retention.write_best(write, steps, mean)
            except OSError:
                self._best = before  # the next one that is better than what is there gets its place
                raise

        with self._handled("a checkpoint"):
            self._background.start(work)

    def _show(self, write: Callable[[TensorBoard], None]) -> None:
        """Let TensorBoard's events be written, if they are wanted."""
        if self._board is not None:
            with self._handled("TensorBoard's events"):
                write(self._board)

    @property
    def writing(self) -> bool:
        """Whether something is being written beside the training."""
        return self._background.busy

    def wait(self) -> None:
        """Wait until everything is on the disk that is being written beside the training."""
        with self._handled("a checkpoint"):
            self._background.wait()

    def _handled(self, what):
        return self._failures.handled(what, f"The last good checkpoint is of step {self._saved_steps:,}")

    def close(self) -> None:
        """Let another process train in the folder; the end of this one does the same."""
        self._lock.release()


def folder_of(agent: Any) -> Path | None:
    """Where a training is written that is under way; None where nothing is."""
    return next((callback.folder for callback in agent.callbacks.callbacks if isinstance(callback, Run)), None)


def run_at(log: str | os.PathLike | Run, agent: Trained, total_steps: int) -> Run:
    """The run that `learn(log=…)` asks for.

    Raises
    ------
    TypeError
        For what is no path, no Run and none of the words.
    FileExistsError
        If the folder holds a run already.
    """
    if isinstance(log, Run):
        return log
    if not isinstance(log, str | os.PathLike) or not os.fspath(log):
        raise TypeError(f'expected log as "csv", "tensorboard", a path or a Run, given {log!r:.80}')
    name = agent.env_name or "environment"
    if log not in KINDS:
        meant = get_close_matches(os.fspath(log), KINDS, 1, 0.8)
        if meant:
            raise ValueError(f'expected log as "csv", "tensorboard", a path or a Run, given {log!r}: did you mean "{meant[0]}"?')
        return Run(log, agent, name, total_steps)
    prepare_memories(agent)
    board = log == "tensorboard"
    if board:
        TensorBoard(".")  # before a folder is made: it may not be installed
    folder = new_folder(Path("runs") / f"{agent.config.algorithm}-{name.replace('/', '-')}")
    print(f"everything goes to {folder}/", flush=True)  # nobody chose this name
    return Run(folder, agent, name, total_steps, tensorboard=board)


def new_folder(base: str | os.PathLike) -> Path:
    """Make `base`, or the first of base-2, base-3, … that does not exist yet.

    Two processes never get the same one.
    """
    base, number = Path(base), 1
    folder = base
    make_folder(base.parent)
    while True:
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
            folder = base.with_name(f"{base.name}-{number}")


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
