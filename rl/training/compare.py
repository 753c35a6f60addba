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

from rl.runs.record import command_text
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
    """The first update at the same step in which the metrics of two runs differ.

    Attributes
    ----------
    number : int
        Of the update among those at common steps, from 1 on.
    steps : float
        Environment steps by then.
    differences : tuple of Difference
        Of metrics that both runs report, in the file's order; MISSING where one has no number.
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
    updates : int or None
        Steps for which both have a row in progress.csv; None where several runs are compared.
    first_update : FirstUpdate or None
        None where these rows are equal.
    scores : pair of arrays
        Returns of the last evaluation, see `scored`. Empty where a run was not evaluated.
    scored : {"episodes", "runs"}
        What has one score: an episode, where one run is compared with another, or a run, which has
        its mean return, where one side has several runs.
    improvement : float or None
        The probability that a score of the second is above one of the first; see
        `probability_of_improvement`.
    interval : pair of float or None
        Its 95 % interval.
    """

    settings: tuple[Difference, ...]
    circumstances: tuple[Difference, ...]
    updates: int | None
    first_update: FirstUpdate | None
    scores: tuple[np.ndarray, np.ndarray]
    scored: str
    improvement: float | None
    interval: Interval | None


def compare(a: str | os.PathLike, b: str | os.PathLike) -> Comparison:
    """Compare two runs, or two folders of runs that differ in their seeds.

    Of folders of runs, settings and circumstances are those of the first run in each.

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
    single = len(runs[0]) == len(runs[1]) == 1
    updates, first = _first_update(runs[0][0], runs[1][0]) if single else (None, None)
    scores = _scores(runs[0], single), _scores(runs[1], single)
    both = all(len(x) for x in scores)
    return Comparison(
        _differences(*told),
        _differences(*others),
        updates,
        first,
        scores,
        "episodes" if single else "runs",
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
    _print_updates(console, comparison, a, b)
    for name, scores in zip((a, b), comparison.scores, strict=True):
        console.print(f"{name}: {_described(scores, comparison.scored)}", markup=False)
    if comparison.interval is not None:
        low, high = comparison.interval
        what = {"episodes": "an episode", "runs": "a run"}[comparison.scored]
        text = f"{what} of {b} returns more than one of {a} with probability {comparison.improvement:.2f} [{low:.2f}, {high:.2f}]"
        console.print(text, markup=False)


def _print_updates(console, comparison, a, b):
    first = comparison.first_update
    if first is not None:
        title = f"update {first.number:,}, at {first.steps:,.0f} steps, is the first that differs"
        _print(console, title, a, b, first.differences)
    elif comparison.updates:
        console.print(f"all {comparison.updates:,} updates at common steps are equal")
    elif comparison.updates == 0:
        console.print("no update of one is at a step of the other's: their metrics were not compared")


def _described(scores: np.ndarray, scored: str) -> str:
    if not len(scores):
        return "not evaluated"
    count = len(scores) if len(scores) > 1 else "one"
    over = f"{count} {scored if len(scores) > 1 else scored.removesuffix('s')}"
    what = f"the {over} of its last evaluation" if scored == "episodes" else f"the last mean returns of {over}"
    return f"return {score_text(float(iqm(scores)))}, interquartile mean of {what}"


def _print(console, title, a, b, differences):
    if not differences:
        console.print(f"{title}: no difference")
        return
    grid = Grid(title=title, title_justify="left")
    for name in ("", a, b):
        grid.add_column(name, overflow="fold")
    for difference in differences:
        grid.add_row(difference.name, _text(difference.a), _text(difference.b))
    console.print(grid, markup=False)


def _text(value: Any) -> str:
    """A command as it was typed, and other values as Python writes them."""
    return command_text(value) if isinstance(value, list) and value and all(isinstance(x, str) for x in value) else str(value)


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    left, right = flat(a), flat(b)
    pairs = [Difference(name, left.get(name, MISSING), right.get(name, MISSING)) for name in dict.fromkeys([*left, *right])]
    return tuple(pair for pair in pairs if pair.a != pair.b)


def _first_update(a: Path, b: Path) -> tuple[int, FirstUpdate | None]:
    left, right = read_progress(a), read_progress(b)
    names = [name for name in left if name in right and name not in CLOCK]
    rows = {steps: row for row, steps in enumerate(right.get(KEY, []))}
    common = [(row, rows[steps]) for row, steps in enumerate(left.get(KEY, [])) if steps in rows]
    for number, (i, j) in enumerate(common, start=1):
        pairs = [Difference(name, _told(left[name][i]), _told(right[name][j])) for name in names]
        found = tuple(pair for pair in pairs if pair.a != pair.b)
        if found:
            return len(common), FirstUpdate(number, left[KEY][i], found)
    return len(common), None


def _told(number: float) -> float | str:
    """A number of progress.csv; NaN is what is missing there."""
    return MISSING if math.isnan(number) else number


def _scores(folders: list[Path], each_episode: bool) -> np.ndarray:
    """Returns of a run's last evaluation, or the mean return of each run's; none where one was not evaluated."""
    try:
        returns = [read_evaluations(folder)[1][-1] for folder in folders]
    except FileNotFoundError:
        return np.empty(0)
    return returns[0] if each_episode else np.array([x.mean() for x in returns])
