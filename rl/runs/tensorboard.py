"""TensorBoard: a training's figures as events, by tensorboardX.

    train/<metric>           of each iteration, as in progress.csv
    evaluation/<figure>      the mean over an evaluation's episodes: return, length, success, …

    pip install "deepnp-rl[tensorboard]" tensorboard
    tensorboard --logdir runs

Weights & Biases reads the same files: `wandb sync <folder>` after a training, or
`wandb.init(sync_tensorboard=True)` before it.
"""

import contextlib
import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl.runs.callbacks import Callback


class TensorBoard(Callback):
    """Writes events into a folder: `agent.learn(steps, TensorBoard("runs/walker"))`.

    `Run(…, tensorboard=True)` has one. Events are written at once, without tensorboardX's thread
    and queue: that thread dies of a full disk, and the training would wait for it for ever. A
    training that goes on hides what was written beyond the step at which it begins.

    Parameters
    ----------
    folder : path
        Made if need be.

    Raises
    ------
    ImportError
        Without tensorboardX; the message says how to install it.
    """

    def __init__(self, folder: str | os.PathLike):
        try:
            from tensorboardX.proto import event_pb2, summary_pb2
            from tensorboardX.record_writer import RecordWriter
        except ImportError as error:
            needed = 'pip install "deepnp-rl[tensorboard]", and tensorboard to look at them'
            raise ImportError(f"TensorBoard's events need tensorboardX: {needed}") from error
        self.folder = Path(folder)
        self._events, self._summaries, self._writer_of = event_pb2, summary_pb2, RecordWriter
        self._writer: Any = None

    def on_start(self, agent: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._open(agent.steps)

    def on_update(self, agent: Any, metrics: Mapping[str, float]) -> None:
        self._write(agent.steps, {f"train/{name}": value for name, value in metrics.items() if name != "steps"})

    def on_evaluation(self, agent: Any, result: Mapping[str, np.ndarray]) -> None:
        means = {f"evaluation/{name}": _mean(values) for name, values in result.items()}
        self._write(agent.steps, {name: mean for name, mean in means.items() if not math.isnan(mean)})

    def on_end(self, agent: Any, error: BaseException | None) -> None:
        try:
            self.flush()
        finally:
            self._close()

    def flush(self) -> None:
        """Write everything to the disk, so that it outlives whatever happens."""
        if self._writer is not None:
            self._guarded(self._writer.flush)

    def _open(self, steps):
        """Begin a file; TensorBoard hides what other files say of later steps."""
        self._close()
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
        self._writer = self._writer_of(str(self.folder / name))
        start = self._events.SessionLog(status=self._events.SessionLog.START)
        self._record(self._events.Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._record(self._events.Event(wall_time=time.time(), step=steps + 1, session_log=start))

    def _write(self, steps, figures):
        if self._writer is None:  # the disk was full before, or nobody said that the training begins
            self._open(steps - 1)
        values = [self._summaries.Summary.Value(tag=name, simple_value=float(value)) for name, value in figures.items()]
        summary = self._summaries.Summary(value=values)
        self._record(self._events.Event(wall_time=time.time(), step=steps, summary=summary))

    def _record(self, event):
        self._guarded(lambda: self._writer.write(event.SerializeToString()))

    def _guarded(self, action):
        """A file whose writing failed ends in half an event, and nobody reads on behind it: the next event gets another file."""
        try:
            action()
        except OSError:
            self._close()
            raise

    def _close(self):
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(OSError):  # what it held back is lost; that has been told
                writer.close()


def _mean(values) -> float:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else math.nan
