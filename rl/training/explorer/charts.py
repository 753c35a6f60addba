"""Which curves a run has: every column of every table, each in its section.

A column `kind/network/layer` is a line of the chart `kind/network`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rl.runs.table import KEY
from rl.training.evaluations import EVALUATIONS
from rl.training.explorer.drawing import Line
from rl.training.explorer.reading import Columns, Found
from rl.training.explorer.words import Words, known_words, words_of
from rl.training.overestimation import FILE as OVERESTIMATION
from rl.training.value_check import FILE as VALUES

SECONDS = "seconds"
EPISODE = re.compile(r"(return|length|success)_\d+")  # a column of evaluations.csv for each episode
TOGETHER = ("first", "smallest", "return")  # of overestimation.csv: lines of one chart
LOGARITHMIC = ("gradient",)


class Chart(NamedTuple):
    """Lines, and what is said about them; points instead of lines where `scatter` is true."""

    name: str
    words: Words
    lines: list[Line]
    logarithmic: bool = False
    scatter: bool = False


def charts_of(found: Found) -> list[Chart]:
    """All of a run's charts that have a number, in the order of the words; what nobody explains comes last."""
    charts = [chart for file, columns in found.tables.items() for chart in _charts(file, columns)]
    places = {name: i for i, name in enumerate(known_words())}
    charts.sort(key=lambda chart: places.get(chart.name.partition("/")[0], len(places)))
    return [chart for chart in charts if any(np.isfinite(line.values).any() for line in chart.lines)]


def _charts(file: str, columns: Columns) -> Iterator[Chart]:
    steps = columns[KEY]
    if file == VALUES:
        yield from _points(columns)
        return
    own = {name: values for name, values in columns.items() if name not in (KEY, SECONDS)}
    if file == EVALUATIONS:
        episodes = np.array([values for name, values in own.items() if name.startswith("return_")])
        own = {name: values for name, values in own.items() if not EPISODE.fullmatch(name)}
        if "mean" in own:
            yield _alone("mean", Line("mean", steps, own.pop("mean"), *_range(episodes)))
    elif file == OVERESTIMATION and set(TOGETHER) <= own.keys():
        yield Chart("overestimation", words_of("overestimation"), [Line(name, steps, own.pop(name)) for name in TOGETHER])
    elif SECONDS in columns and len(steps) > 1:
        yield _alone("speed", Line("speed", steps[1:], _speed(steps, columns[SECONDS])))
    groups: dict[str, list[Line]] = {}
    for name, values in own.items():
        kind, _, layer = name.rpartition("/")
        groups.setdefault(kind or name, []).append(Line(layer or name, steps, values))
    for name, lines in groups.items():
        yield Chart(name, words_of(name), lines, name.partition("/")[0] in LOGARITHMIC)


def _alone(name: str, line: Line) -> Chart:
    return Chart(name, words_of(name), [line])


def _range(episodes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | tuple[()]:
    """The worst and the best of each evaluation, (K,) each, of returns (episodes, K)."""
    return (episodes.min(axis=0), episodes.max(axis=0)) if len(episodes) > 1 else ()


def _speed(steps: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Steps per second between rows; NaN where no time went by, as where a run went on on another clock."""
    taken, elapsed = np.diff(steps), np.diff(seconds)
    return np.divide(taken, elapsed, out=np.full(len(taken), np.nan), where=elapsed > 0)


def _points(columns: Columns) -> Iterator[Chart]:
    """Values against returns, of the last measurement."""
    if {"value", "return"} <= columns.keys():
        last = columns[KEY] == columns[KEY][-1]
        yield Chart("value", words_of("value"), [Line("value", columns["return"][last], columns["value"][last])], scatter=True)
