"""The files of the experiments: a row for each finished training, and the points of its curves."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.experiment import Key, Point

MEASURED = (
    *("reached", "score", "spread", "worst", "bias", "smallest_bias", "largest_value", "largest_reward"),
    *("alignment", "least_alignment", "accepted", "rises", "seconds"),
)
COLUMNS = (*Key._fields, *MEASURED)
POINT_COLUMNS = (*Key._fields, *Point._fields)
Table = Mapping[tuple[str, str], Mapping[int, Any]]  # (variant, task) -> seed -> what is known of that training


class Records:
    """Rows and curves in a folder: rows.csv and curves.csv.

    Parameters
    ----------
    folder : Path
        Made when the first row comes.
    """

    def __init__(self, folder: Path):
        self.rows_file, self.curves_file = folder / "rows.csv", folder / "curves.csv"

    def rows(self) -> dict[Key, dict[str, float]]:
        """Finished trainings: the last row of each counts."""
        return {_key(row): {name: float(row[name]) for name in MEASURED if row[name]} for row in _read(self.rows_file)}

    def curves(self) -> dict[Key, list[Point]]:
        """Curves of the finished trainings."""
        curves: dict[Key, list[Point]] = {key: [] for key in self.rows()}
        for row in _read(self.curves_file):
            if (key := _key(row)) in curves:
                curves[key].append(Point(row["name"], float(row["at"]), float(row["value"])))
        return curves

    def add(self, key: Key, measured: Mapping[str, float], points: Sequence[Point]) -> None:
        """Write a training down: curves first, so that a row without a curve is never found."""
        _append(self.curves_file, POINT_COLUMNS, ([*key, *point] for point in points))
        figures = [f"{measured[name]:.6g}" if name in measured else "" for name in MEASURED]
        _append(self.rows_file, COLUMNS, [[*key, *figures]])


def of_experiment(rows: Mapping[Key, Any], name: str, steps: int) -> Table:
    """What belongs to one experiment at one number of steps."""
    table: dict[tuple[str, str], dict[int, Any]] = {}
    for key, value in rows.items():
        if (key.experiment, key.steps) == (name, steps):
            table.setdefault((key.variant, key.task), {})[key.seed] = value
    return table


def curve(points: Iterable[Point], name: str) -> tuple[np.ndarray, np.ndarray]:
    """One curve of a training: where, and what (K,) each."""
    pairs = [(point.at, point.value) for point in points if point.name == name]
    at, values = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(at), np.array(values)


def _key(row) -> Key:
    return Key(row["experiment"], row["variant"], row["task"], int(row["seed"]), int(row["steps"]))


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]  # a row that was cut off is none


def _append(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows] if new else rows)
