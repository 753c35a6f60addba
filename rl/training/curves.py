"""Learning curves of one run as SVG and PNG; plots.py draws those of several.

Figures are drawn without pyplot, so that a notebook's own plots are left alone.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rl.runs.run import read_progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#1f4e8c", "#d1662a", "#3b8a5a", "#8a4f9e")
PALE = "#9bb7d4"
TITLE_SIZE, TEXT_SIZE = 10, 9


def subplots(columns: int, width: float = 4.2, height: float = 3.4, rows: int = 1) -> "tuple[Figure, Sequence[Axes]]":
    """A figure, and its axes in the house's style, row by row."""
    from matplotlib.figure import Figure  # here, because importing it takes a while

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
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


def save_figure(figure: "Figure", path: str | os.PathLike, kinds: Sequence[str]) -> list[Path]:
    """Write a figure as path.svg, path.png, …, in a folder that is made if need be."""
    files = [Path(f"{os.fspath(path)}.{kind}") for kind in kinds]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    for file in files:
        figure.savefig(file, dpi=130)
    return files
