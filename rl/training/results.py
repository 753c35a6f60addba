"""A table of results, made from runs: task × algorithm × seeds, in Markdown."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from rl.runs.record import command_text
from rl.runs.run import read_progress
from rl.training.evaluations import read_evaluations
from rl.training.groups import Group, groups_of, record_of
from rl.training.statistics import bootstrap_interval, iqm, score_text

COLUMNS = "task", "algorithm", "steps", "seeds", "return: IQM [95 %]", "minutes each", "command"
NOT_EVALUATED = "not evaluated"


def results_table(paths: Iterable[str | os.PathLike] | str | os.PathLike) -> str:
    """The results of runs, a line per environment, algorithm and settings, sorted by environment.

    A run's score is the mean return of its last evaluation; a line has the interquartile mean of
    its runs' scores with the 95 % bootstrap interval, the median of their minutes, and the command
    that began the first of them.

    Parameters
    ----------
    paths : path, or several
        Folders of runs, or folders of such folders.

    A run whose config.json is damaged is left out with a warning.

    Raises
    ------
    FileNotFoundError
        If a folder holds no run.
    ValueError
        If the config.json of every run is damaged.
    """
    rows = [_row(group) for group in sorted(groups_of(paths), key=lambda group: (group.env, group.label))]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(group: Group) -> tuple[str, ...]:
    records = [record_of(folder) for folder in group.folders]
    progress = [read_progress(folder) for folder in group.folders]
    steps = min(int(max(columns.get("steps", [0]))) for columns in progress)
    minutes = float(np.median([max(columns.get("seconds", [0.0])) for columns in progress])) / 60
    seeds = ", ".join(str(record["seed"]) for record in sorted(records, key=lambda record: record["seed"]))
    command = f"`{command_text(records[0].get('command') or [])}`"
    return group.env, group.label, f"{steps:,}", seeds, _score(group.folders), f"{minutes:.1f}", command.replace("|", "\\|")


def _score(folders: Iterable[Path]) -> str:
    try:
        scores = np.array([read_evaluations(folder)[1][-1].mean() for folder in folders])
    except FileNotFoundError:
        return NOT_EVALUATED
    if len(scores) == 1:
        return f"{score_text(float(scores[0]))}, one run"
    low, high = (score_text(float(end)) for end in bootstrap_interval(scores))
    return f"{score_text(float(iqm(scores)))} [{low}, {high}]"
