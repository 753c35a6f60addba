"""Two runs side by side: what was set, where they ran, from which update on they differ, and which is better.

Two runs with the same settings and seed on the same machine have the same metrics to the last digit.
Where they do not, the first update that differs says when something else began, and the metric
that differs says where to look.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

from rl.runs.run import read_progress
from rl.runs.table import KEY
from rl.training.evaluations import read_evaluations
from rl.training.groups import flat, record_of, runs_of
from rl.training.statistics import Interval, improvement_interval, iqm, probability_of_improvement, score_text

SETTINGS = ("algorithm", "env", "env_settings", "seed", "total_steps", "config", "options")
CLOCK = {"seconds"}  # what two equal runs do not share
MISSING = "–"


@dataclass(frozen=True)
class Difference:
    """A value that two runs do not share; MISSING where one of them has none."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class FirstUpdate:
    """The first row of progress.csv in which two runs differ.

    Attributes
    ----------
    number : int
        Of the row, from 1 on.
    steps : float
        Environment steps of the first run by then.
    differences : tuple of Difference
        Of metrics that both have, in the file's order.
    """

    number: int
    steps: float
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    settings, circumstances : tuples of Difference
        Of what the runs were told; of versions, hardware and the like.
    updates : int
        Rows of progress.csv that both have; 0 where several runs are compared with others.
    first_update : FirstUpdate or None
        None where these rows are equal.
    scores : pair of arrays
        The returns of the last evaluation, of each run; or the mean returns of several runs. Empty
        where a run was not evaluated.
    improvement : float or None
        The probability that a score of the second is above one of the first; see
        `probability_of_improvement`.
    interval : pair of float or None
        Its 95 % interval.
    """

    settings: tuple[Difference, ...]
    circumstances: tuple[Difference, ...]
    updates: int
    first_update: FirstUpdate | None
    scores: tuple[np.ndarray, np.ndarray]
    improvement: float | None
    interval: Interval | None


def compare(a: str | os.PathLike, b: str | os.PathLike) -> Comparison:
    """Compare two runs, or two folders of runs that differ in their seeds.

    Of folders of runs, settings and circumstances are those of the first run in each, and the
    scores are the runs' mean returns.

    Raises
    ------
    FileNotFoundError
        If a folder holds no run.
    ValueError
        If a config.json is damaged.
    """
    runs = runs_of(a), runs_of(b)
    records = [record_of(folders[0]) for folders in runs]
    told = [{name: record[name] for name in SETTINGS if name in record} for record in records]
    others = [{name: value for name, value in record.items() if name not in SETTINGS} for record in records]
    updates, first = _first_update(runs[0][0], runs[1][0]) if len(runs[0]) == len(runs[1]) == 1 else (0, None)
    scores = _scores(runs[0]), _scores(runs[1])
    both = all(len(x) for x in scores)
    return Comparison(
        _differences(*told),
        _differences(*others),
        updates,
        first,
        scores,
        probability_of_improvement([scores[1]], [scores[0]]) if both else None,
        improvement_interval([scores[1]], [scores[0]]) if both else None,
    )


def print_comparison(comparison: Comparison, a: str = "A", b: str = "B", console: Console | None = None) -> None:
    """Print a comparison as tables.

    Parameters
    ----------
    comparison : Comparison
    a, b : str
        What to call the runs.
    console : rich.console.Console, optional
    """
    console = console or Console()
    for title, differences in (("settings", comparison.settings), ("circumstances", comparison.circumstances)):
        _print(console, title, a, b, differences)
    first = comparison.first_update
    if first is not None:
        _print(console, f"update {first.number:,}, at {first.steps:,.0f} steps, is the first that differs", a, b, first.differences)
    elif comparison.updates:
        console.print(f"all {comparison.updates:,} updates that both have are equal")
    for name, scores in zip((a, b), comparison.scores, strict=True):
        told = f"{score_text(float(iqm(scores)))}, interquartile mean of {len(scores)}" if len(scores) else "not evaluated"
        console.print(f"{name}: return {told}", markup=False)
    if comparison.interval is not None:
        low, high = comparison.interval
        text = f"{b} above {a} with probability {comparison.improvement:.2f} [{low:.2f}, {high:.2f}]"
        console.print(text, markup=False)


def _print(console, title, a, b, differences):
    if not differences:
        console.print(f"{title}: no difference")
        return
    grid = Grid(title=title, title_justify="left")
    for name in ("", a, b):
        grid.add_column(name, overflow="fold")
    for difference in differences:
        grid.add_row(difference.name, str(difference.a), str(difference.b))
    console.print(grid, markup=False)


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    left, right = flat(a), flat(b)
    pairs = [Difference(name, left.get(name, MISSING), right.get(name, MISSING)) for name in dict.fromkeys([*left, *right])]
    return tuple(pair for pair in pairs if pair.a != pair.b)


def _first_update(a: Path, b: Path) -> tuple[int, FirstUpdate | None]:
    left, right = read_progress(a), read_progress(b)
    names = [name for name in left if name in right and name not in CLOCK]
    rows = min(len(left.get(KEY, [])), len(right.get(KEY, [])))
    for i in range(rows):
        pairs = [Difference(name, left[name][i], right[name][i]) for name in names]
        found = tuple(pair for pair in pairs if not _equal(pair.a, pair.b))
        if found:
            return rows, FirstUpdate(i + 1, left[KEY][i], found)
    return rows, None


def _equal(x: float, y: float) -> bool:
    return x == y or (math.isnan(x) and math.isnan(y))


def _scores(folders: list[Path]) -> np.ndarray:
    """Returns of a run's last evaluation, or the mean returns of several runs' last ones; none where there was no evaluation."""
    try:
        returns = [read_evaluations(folder)[1][-1] for folder in folders]
    except FileNotFoundError:
        return np.empty(0)
    return returns[0] if len(returns) == 1 else np.array([x.mean() for x in returns])
