"""Learning curves as SVG and PNG.

Figures are drawn without pyplot, so that a notebook's own plots are left alone.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rl.runs.run import read_progress
from rl.training.evaluations import read_evaluations
from rl.training.statistics import bootstrap_interval, iqm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#1f4e8c", "#d1662a", "#3b8a5a", "#8a4f9e")
PALE = "#9bb7d4"
TITLE_SIZE, TEXT_SIZE = 10, 9


def subplots(columns: int, width: float = 4.2, height: float = 3.4) -> "tuple[Figure, Sequence[Axes]]":
    """A figure, and a row of axes in the house's style."""
    from matplotlib.figure import Figure  # here, because importing it takes a while

    figure = Figure(figsize=(width * columns, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=TEXT_SIZE)
        for text in (axis.xaxis.label, axis.yaxis.label):
            text.set_fontsize(TEXT_SIZE)
    return figure, axes


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Centred moving average that ignores NaN: (n,) -> (n,)."""
    known, kernel = np.isfinite(values), np.ones(window)
    total = np.convolve(np.where(known, values, 0), kernel, "same")
    return total / np.maximum(np.convolve(known, kernel, "same"), 1)


def plot_run(folder: str | os.PathLike, metrics: Mapping[str, str], title: str) -> list[Path]:
    """Draw metrics of a run over its steps into `learning_curve.svg` and `.png`.

    Parameters
    ----------
    folder : path
        Of the run.
    metrics : dict of str to str
        Column of progress.csv -> label of its axis, one panel each.
    title : str
        Above the panels.

    Returns
    -------
    list of Path
        The files.
    """
    progress = read_progress(folder)
    shown = {name: label for name, label in metrics.items() if name in progress}
    figure, axes = subplots(max(1, len(shown)), height=3.2)
    for axis, (name, label) in zip(axes, shown.items(), strict=False):
        steps, values = np.array(progress["steps"]) / 1e6, np.array(progress[name])
        axis.plot(steps, values, color=PALE, linewidth=0.8)
        axis.plot(steps, smooth(values, max(1, len(values) // 40)), color=COLOURS[0], linewidth=2)
        axis.set_xlabel("environment steps (millions)")
        axis.set_title(label, fontsize=TITLE_SIZE)
    figure.suptitle(title, fontsize=11)
    return save_figure(figure, Path(folder) / "learning_curve", ("svg", "png"))


def plot_evaluations(path: str | os.PathLike, groups: Mapping[str, Sequence[str | os.PathLike]], title: str) -> list[Path]:
    """Draw evaluations of several runs: interquartile mean over seeds, 95 % bootstrap interval.

    A run's score is the mean of its episodes' returns. The runs of a group were evaluated at about
    the same steps; it is drawn as far as all of them were.

    Parameters
    ----------
    path : path
        Of the pictures, without the ending.
    groups : dict of str to list of path
        Label of a line -> folders of its runs, one a seed.
    title : str

    Returns
    -------
    list of Path
        The files, SVG and PNG.
    """
    figure, (axis,) = subplots(1, width=7, height=3.6)
    for i, (label, folders) in enumerate(groups.items()):
        steps, scores = scores_of(folders)
        colour = COLOURS[i % len(COLOURS)]
        axis.plot(steps / 1e6, iqm(scores, axis=0), color=colour, linewidth=2, label=f"{label} ({len(scores)} runs)")
        axis.fill_between(steps / 1e6, *bootstrap_interval(scores), color=colour, alpha=0.2, linewidth=0)
    axis.set(xlabel="environment steps (millions)", ylabel="return: interquartile mean, 95 % interval")
    axis.set_title(title, fontsize=TITLE_SIZE)
    axis.legend(frameon=False, fontsize=TEXT_SIZE)
    return save_figure(figure, path, ("svg", "png"))


def scores_of(folders: Sequence[str | os.PathLike]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of R runs at the K evaluations that all of them have: steps (K,), scores (R, K).

    The steps are the mean over runs.
    """
    if not folders:
        raise ValueError("expected at least one run's folder, given none")
    runs = [read_evaluations(folder) for folder in folders]
    common = min(len(steps) for steps, _ in runs)
    steps = np.array([steps[:common] for steps, _ in runs])
    return steps.mean(axis=0), np.array([returns[:common].mean(axis=1) for _, returns in runs])


def save_figure(figure: "Figure", path: str | os.PathLike, kinds: Sequence[str]) -> list[Path]:
    """Write a figure as path.svg, path.png, …"""
    files = [Path(f"{os.fspath(path)}.{kind}") for kind in kinds]
    for file in files:
        figure.savefig(file, dpi=130)
    return files
