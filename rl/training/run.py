"""A run's folder: config.json, progress.csv, checkpoints.

    runs/<name>/config.json             settings, seed, environment
               /progress.csv            a row of metrics per iteration
               /checkpoints/last.safetensors

Files are written whole or not at all, rows are appended, and nothing of another run is overwritten.
"""

import csv
import io
import json
import math
import os
import time
from dataclasses import asdict
from pathlib import Path

from deepnp.storage import save_json, write_atomically
from rl.agent import Agent


class Run:
    """Writes a training down as it goes: pass `run` as the callback of `agent.learn`.

    Parameters
    ----------
    folder : path
        Made anew.
    agent : Agent
        What is trained.
    env : str
        The environment's id, for the record.
    total_steps : int
        How long the training is to be: schedules depend on it, so a resumed run needs it.
    checkpoint_seconds : float
        A checkpoint is written when this much time has gone by since the last.

    Raises
    ------
    FileExistsError
        If the folder holds a run already.
    """

    def __init__(self, folder: str | os.PathLike, agent: Agent, env: str, total_steps: int, checkpoint_seconds: float = 60.0):
        self._open(folder, checkpoint_seconds)
        if (self.folder / "config.json").exists():
            raise FileExistsError(f"{self.folder} holds a run already: expected a new folder")
        self.total_steps = total_steps
        record = {"algorithm": type(agent).__name__, "env": env, "seed": agent.seed, "total_steps": total_steps}
        record |= {"config": asdict(agent.config)}
        save_json(self.folder / "config.json", record)

    @classmethod
    def resume(cls, folder: str | os.PathLike, agent: Agent, checkpoint_seconds: float = 60.0) -> "Run":
        """Go on with a run whose checkpoint `agent` was loaded from; rows beyond the checkpoint are dropped."""
        run = cls.__new__(cls)
        run._open(folder, checkpoint_seconds)
        run.total_steps = json.loads((run.folder / "config.json").read_text())["total_steps"]
        columns = read_progress(folder)
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        kept = [row for row in rows if row["steps"] <= agent.steps]
        run.rows = [{name: "" if value != value else value for name, value in row.items()} for row in kept]  # NaN: blank
        run._start -= kept[-1]["seconds"] if kept else 0.0
        write_atomically(run.folder / "progress.csv", lambda file: file.write(run._text(run.rows, header=True)))
        return run

    def _open(self, folder, checkpoint_seconds):
        self.folder = Path(folder)
        self.checkpoint = checkpoint_of(folder)
        self.rows: list[dict] = []
        self._every, self._saved = checkpoint_seconds, -math.inf  # the first iteration is saved at once
        self._start = time.monotonic()

    def __call__(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Take down one iteration."""
        row = {"seconds": round(time.monotonic() - self._start, 3), **metrics}
        new_columns = not self.rows or row.keys() - self.rows[0].keys()
        self.rows.append(row)
        if new_columns:  # the first episode ends after some iterations, and brings columns with it
            columns = list(dict.fromkeys(name for r in self.rows for name in r))
            self.rows = [{name: r.get(name, "") for name in columns} for r in self.rows]
            write_atomically(self.folder / "progress.csv", lambda file: file.write(self._text(self.rows, header=True)))
        else:
            self.rows[-1] = {name: row.get(name, "") for name in self.rows[0]}
            with open(self.folder / "progress.csv", "ab") as file:
                file.write(self._text(self.rows[-1:], header=False))
        if time.monotonic() - self._saved > self._every:
            self.save(agent)

    def save(self, agent: Agent) -> None:
        """Write the checkpoint now."""
        agent.save(self.checkpoint)
        self._saved = time.monotonic()

    def _text(self, rows, header) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]) if self.rows else [], lineterminator="\n")
        if header and rows:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()


def checkpoint_of(folder: str | os.PathLike) -> Path:
    """Where a run keeps its latest checkpoint."""
    return Path(folder) / "checkpoints" / "last.safetensors"


def read_progress(folder: str | os.PathLike) -> dict[str, list[float]]:
    """The columns of a run's progress.csv; NaN where a value is missing.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    """
    path = Path(folder) / "progress.csv"
    if not path.is_file():
        raise FileNotFoundError(f"expected a run's folder with a progress.csv, found none in {folder}")
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in (rows[0] if rows else {})}
