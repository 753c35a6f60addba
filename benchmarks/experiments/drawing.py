"""What the figures of the experiments share: lines over seeds, in the house's style."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.experiments.experiment import Point
from benchmarks.experiments.records import Table, curve
from benchmarks.experiments.watchers import EPISODES
from rl.training.curves import COLOURS, TEXT_SIZE, subplots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "dimensions", "line_of_curves", "line_of_seeds", "returns_of", "subplots"]


def line_of_seeds(axis: "Axes", values: Mapping[float, Sequence[float]], label: str, colour: str) -> None:
    """The mean over seeds at each place, and each seed as a point."""
    known = {at: seeds for at, seeds in values.items() if len(seeds)}
    axis.plot(list(known), [np.mean(seeds) for seeds in known.values()], color=colour, linewidth=2, label=label)
    for at, seeds in known.items():
        axis.plot([at] * len(seeds), seeds, ".", color=colour, alpha=0.6)


def dimensions(axis: "Axes", numbers: Sequence[int]) -> None:
    """A logarithmic scale below the picture that names these numbers, and no others."""
    axis.set_xscale("log")
    axis.set_xticks(numbers, [str(n) for n in numbers])
    axis.minorticks_off()


def returns_of(axis: "Axes", curves: Table, task: str, lines: Mapping[str, tuple[str, str]], title: str) -> None:
    """The score of variants while they learned a task: `lines` has the label and the colour of each."""
    for variant, (label, colour) in lines.items():
        line_of_curves(axis, curves.get((variant, task), {}), "score", label, colour)
    axis.set(title=f"{title} (seeds)", ylabel=f"return of {EPISODES} episodes")
    axis.legend(frameon=False)


def line_of_curves(axis: "Axes", seeds: Mapping[int, Sequence[Point]], name: str, label: str, colour: str) -> None:
    """The mean of the seeds' curves as far as all got, and each of them as a thin line; steps in thousands."""
    curves = [(at / 1e3, values) for at, values in (curve(points, name) for points in seeds.values()) if len(at)]
    if not curves:
        return
    for at, values in curves:
        axis.plot(at, values, color=colour, linewidth=0.8, alpha=0.5)
    grid = min((at for at, _ in curves), key=lambda at: at[-1])
    mean = np.mean([np.interp(grid, at, values) for at, values in curves], axis=0)
    axis.plot(grid, mean, color=colour, linewidth=2, label=f"{label} ({len(curves)})")
    axis.set_xlabel("environment steps (thousands)", fontsize=TEXT_SIZE)
