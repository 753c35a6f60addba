"""What a run's folder holds, as far as it can be read: of a training that is under way, was killed, or is damaged, too."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rl.runs.table import KEY, Table
from rl.training.groups import record_of

FILMS = ".gif", ".mp4"
Columns = Mapping[str, np.ndarray]


class Found(NamedTuple):
    """A run, read.

    Attributes
    ----------
    folder : Path
    record : dict
        Its config.json.
    tables : dict of str to dict of str to array (K,)
        File name -> its columns, in the order of their steps; NaN where a number is missing.
    film : Path or None
        The newest one.
    problems : list of str
        What could not be read.
    """

    folder: Path
    record: dict[str, Any]
    tables: dict[str, Columns]
    film: Path | None
    problems: Sequence[str]

    @property
    def steps(self) -> int:
        """The last step that a row tells of; 0 without rows."""
        return int(max((columns[KEY][-1] for columns in self.tables.values()), default=0))


def read(folder: str | os.PathLike) -> Found:
    """Read a run's folder.

    Raises
    ------
    FileNotFoundError
        If it holds no run.
    ValueError
        If its config.json is damaged: then nobody knows what was trained.
    """
    folder = Path(folder)
    record, tables, problems = record_of(folder), {}, []
    for path in sorted(folder.glob("*.csv")):
        columns, said = _columns(path)
        problems += said
        if columns:
            tables[path.name] = columns
    films = [path for path in folder.glob("video/*") if path.suffix.lower() in FILMS and path.is_file()]
    return Found(folder, record, tables, max(films, key=lambda path: path.stat().st_mtime, default=None), problems)


def _columns(path: Path) -> tuple[Columns, list[str]]:
    """A table's columns, none where it has no rows, and what is wrong with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            columns = Table.read(path).columns()
        except OSError as error:
            return {}, [f"{path.name}: {error.strerror or error}"]
    said = [str(warning.message).replace(str(path), path.name) for warning in caught]
    if not columns:
        return {}, said or [f"{path.name} has no rows"]
    order = np.argsort(columns[KEY], kind="stable")
    return {name: np.asarray(values)[order] for name, values in columns.items()}, said
