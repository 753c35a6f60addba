"""Curves of several runs in one picture: the interquartile mean over seeds, with its bootstrap interval.

Runs are grouped by environment, algorithm and settings (groups.py); an environment has a panel.

Shapes: R runs of a group, K points of its curve.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rl.runs.run import read_progress
from rl.runs.table import KEY
from rl.training.curves import COLOURS, TEXT_SIZE, TITLE_SIZE, save_figure, subplots
from rl.training.evaluations import EVALUATIONS, read_evaluations
from rl.training.groups import Group, groups_of, leave_out
from rl.training.statistics import bootstrap_interval, iqm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MANY = (*COLOURS, "#c9a227", "#2a9d8f", "#b23a48", "#6c757d")
STYLES = "-", "--", ":"  # after all colours, the next
BINS = 100  # points of a curve made from progress.csv
COLUMNS, LEGEND_FROM = 4, 12  # panels side by side at most; so many lines make the legend small
KINDS = "svg", "png"


def plot_runs(
    picture: str | os.PathLike,
    paths: Iterable[str | os.PathLike] | str | os.PathLike,
    metric: str | None = None,
    title: str | None = None,
) -> list[Path]:
    """Draw several runs and seeds in one picture, with a panel for each environment.

    A line is the interquartile mean over the runs of a group, the band its 95 % bootstrap
    interval. A group is drawn as far as all of its runs got. One that cannot be drawn, such as runs
    that end before the others begin, is left out with a warning.

    Parameters
    ----------
    picture : path
        The file, as .svg, .png or .pdf; without such an ending, .svg and .png.
    paths : path, or several
        Folders of runs, or folders of such folders.
    metric : str, optional
        A column of progress.csv. By default the returns of evaluations, in panels whose runs were
        all evaluated, and "episode_return" in the others.
    title : str, optional
        Above the panels.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    FileNotFoundError
        If a folder holds no run.
    ValueError
        If no group can be drawn: no run has such a metric, or a row yet; or for another kind of file.
    """
    path, kinds = _file(picture)
    groups = groups_of(paths)
    if not groups:
        raise ValueError("expected at least one run's folder, given none")
    errors: list[Exception] = []
    panels = {env: _panel([g for g in groups if g.env == env], metric, errors) for env in dict.fromkeys(g.env for g in groups)}
    panels = {env: panel for env, panel in panels.items() if panel.curves}
    leave_out(errors, bool(panels))
    rows = -(-len(panels) // COLUMNS)
    figure, axes = subplots(-(-len(panels) // rows), width=4.8 if len(panels) > 1 else 7.0, height=3.6, rows=rows)
    for axis, (env, panel) in zip(axes, panels.items(), strict=False):
        _draw_panel(axis, env, panel)
    for axis in axes[len(panels) :]:
        axis.remove()
    if title:
        figure.suptitle(title, fontsize=TITLE_SIZE + 1)
    return save_figure(figure, path, kinds)


def _file(picture: str | os.PathLike) -> tuple[str, Sequence[str]]:
    """Where a picture goes, without its ending, and as which kinds of file."""
    path, ending = os.path.splitext(os.fspath(picture))
    kind = ending.removeprefix(".").lower()
    if kind in (*KINDS, "pdf"):
        return path, [ending[1:]]
    if kind.isalpha():
        raise ValueError(f"expected a picture that ends in .svg, .png or .pdf, or has no ending, given {picture}")
    return os.fspath(picture), KINDS  # a point belongs to the name, as in "version-1.5"


def evaluations_of(folders: Sequence[str | os.PathLike]) -> tuple[np.ndarray, np.ndarray]:
    """Mean returns of R runs at K steps: steps (K,), scores (R, K).

    The steps are those of the run with the fewest evaluations within what all have in common. A
    run that was evaluated at other steps is interpolated linearly between its own.

    Raises
    ------
    FileNotFoundError
        If a run was not evaluated.
    ValueError
        If they have no step in common, or there is no run.
    """
    curves = [(steps, returns.mean(axis=1)) for steps, returns in map(read_evaluations, folders)]
    if not curves:
        raise ValueError("expected at least one run's folder, given none")
    first, last = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    inside = [steps[(steps >= first) & (steps <= last)] for steps, _ in curves]
    grid = min(inside, key=len)
    if len(grid) == 0:
        raise ValueError(f"expected runs with evaluations at common steps, given {', '.join(map(str, folders))}")
    return grid, np.array([np.interp(grid, steps, scores) for steps, scores in curves])


def progress_of(folders: Sequence[str | os.PathLike], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """A metric of R runs, averaged in K bins of steps: steps (K,), values (R, K).

    There are 100 bins over the steps that all runs took, and fewer where a run has fewer rows. A run
    that went on from another one's checkpoint begins where that ended. A bin without a number takes
    its value from the line between its neighbours.

    Raises
    ------
    ValueError
        If a run has no number of that name, or the runs have no steps in common.
    """
    columns = [read_progress(folder) for folder in folders]
    for folder, column in zip(folders, columns, strict=True):
        if not np.isfinite(column.get(metric, [])).any():
            raise ValueError(f"expected a metric of {sorted(column)}, with numbers, given {metric!r} for {folder}")
    rows = [(np.array(column[KEY]), np.array(column[metric])) for column in columns]
    begin, end = max(_begin(steps) for steps, _ in rows), min(steps[-1] for steps, _ in rows)
    counts = [int(np.sum(np.isfinite(values) & (steps >= begin) & (steps <= end))) for steps, values in rows]
    if begin > end or (0 in counts and len(rows) > 1):
        given = ", ".join(map(str, folders))
        raise ValueError(
            f"expected runs with steps in common, given {given}: with the same settings they are one line, so leave one out"
        )
    edges = np.linspace(begin, end, max(1, min(BINS, *counts)) + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    return middles, np.array([_binned(steps, values, edges, middles) for steps, values in rows])


def _begin(steps) -> float:
    """Where a run with rows at these steps began: as far before its first row as rows lie apart; at a single row itself."""
    return max(0.0, steps[0] - float(np.median(np.diff(steps)))) if len(steps) > 1 else float(steps[0])


def _binned(steps, values, edges, middles) -> np.ndarray:
    known = np.isfinite(values) & (steps >= edges[0])
    places = np.clip(np.searchsorted(edges, steps[known], "left") - 1, 0, None)  # (edge, next edge]
    inside = places < len(middles)
    sums = np.bincount(places[inside], values[known][inside], len(middles))
    counts = np.bincount(places[inside], minlength=len(middles))
    full = counts > 0
    return np.interp(middles, middles[full], sums[full] / counts[full])


class Panel(NamedTuple):
    """What one environment's panel shows."""

    quantity: str
    curves: list[tuple[str, np.ndarray, np.ndarray]]  # label, steps (K,), values (R, K)


def _panel(groups: Sequence[Group], metric: str | None, errors: list[Exception]) -> Panel:
    """The curves of the groups that can be drawn; what is wrong with the others is added to the errors."""
    evaluated = metric is None and all((folder / EVALUATIONS).is_file() for group in groups for folder in group.folders)
    name, curves = metric or "episode_return", []
    for group in groups:
        try:
            curve = evaluations_of(group.folders) if evaluated else progress_of(group.folders, name)
        except (ValueError, FileNotFoundError) as error:
            errors.append(error)
        else:
            curves.append((group.label, *curve))
    return Panel("return of evaluations" if evaluated else name.replace("_", " ") + " while training", curves)


def _draw_panel(axis: "Axes", env: str, panel: Panel) -> None:
    quantity, curves = panel
    unit, word = (1e6, "millions") if max(steps[-1] for _, steps, _ in curves) >= 1e6 else (1e3, "thousands")
    for i, (label, steps, values) in enumerate(curves):
        colour, style = MANY[i % len(MANY)], STYLES[i // len(MANY) % len(STYLES)]
        (line,) = axis.plot(steps / unit, iqm(values, axis=0), style, color=colour, linewidth=2)
        line.set_label(f"{label} ({len(values)} run{'s' if len(values) > 1 else ''})")
        line.set_marker("o" if len(steps) == 1 else "")
        if len(values) > 1:
            axis.fill_between(steps / unit, *bootstrap_interval(values), color=colour, alpha=0.2, linewidth=0)
    axis.set_title(env, fontsize=TITLE_SIZE)
    several = any(len(values) > 1 for _, _, values in curves)
    axis.set_xlabel(f"environment steps ({word})", fontsize=TEXT_SIZE)
    axis.set_ylabel(quantity + (": IQM, 95 % interval" if several else ""), fontsize=TEXT_SIZE)
    axis.legend(frameon=False, fontsize=TEXT_SIZE if len(curves) < LEGEND_FROM else TEXT_SIZE - 3)
