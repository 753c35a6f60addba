"""Learning curves: docs/curves/NAME.csv, as `python -m benchmarks.curves` measured them, drawn when the site is built."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from benchmarks.curves import FOLDER
from benchmarks.curves import read as read_rows
from docs.site import pictures

_NOT_MEASURED = "No learning curve of it was measured.\n"


class Curve(NamedTuple):
    """What was measured of one algorithm.

    Attributes
    ----------
    said : dict of str to str
        What the file's comments say: env, length, settings, command.
    seeds : dict of str to array (K, 2)
        Steps and returns of each seed, in the order of the steps.
    """

    said: dict[str, str]
    seeds: dict[str, np.ndarray]

    def mean(self) -> np.ndarray:
        """The mean over seeds (K, 2), at every step that all have reached at which one was measured; lines between."""
        first, last = (max(s[0, 0] for s in self.seeds.values()), min(s[-1, 0] for s in self.seeds.values()))
        steps = np.unique(np.concatenate([s[:, 0] for s in self.seeds.values()]))
        steps = steps[(first <= steps) & (steps <= last)]
        returns = [np.interp(steps, s[:, 0], s[:, 1]) for s in self.seeds.values()]
        return np.column_stack([steps, np.mean(returns, axis=0)])


def file_of(name: str) -> Path:
    """Where the curve of an algorithm is."""
    return FOLDER / f"{name}.csv"


def read(file: Path) -> Curve | None:
    """The curve of a file; None where there is none, or no row in it.

    Raises
    ------
    ValueError
        If a row lacks a number.
    """
    comments, rows = read_rows(file)
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        try:
            points.setdefault(row["seed"], []).append((float(row["steps"]), float(row["return"])))
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"expected seed, steps and return in each row of {file}, given {row}") from None
    said = {key: text for key, _, text in (line.partition(": ") for line in comments)}
    return Curve(said, {seed: np.array(sorted(of_seed)) for seed, of_seed in points.items()}) if points else None


def section(name: str) -> str:
    """The section "Learning curve" of an algorithm's page."""
    curve = read(file_of(name))
    return f"## Learning curve\n\n{_NOT_MEASURED if curve is None else _measured(name, curve)}"


def _measured(name: str, curve: Curve) -> str:
    env, settings, episodes, command = (curve.said.get(key, "not recorded") for key in ("env", "settings", "episodes", "command"))
    return f"""{pictures.framed(draw(curve), _caption(name, curve))}
Deterministic episodes of `{env}`: {episodes}. Settings: `{settings}`.
To repeat it:

```bash
{command}
```
"""


def _caption(name: str, curve: Curve) -> str:
    seeds = f"{len(curve.seeds)} seeds, a thin line each, and their mean" if len(curve.seeds) > 1 else "one seed"
    ends = ", ".join(f"{points[-1, 1]:,.4g}" for points in curve.seeds.values())
    return f"{name} in {curve.said.get('env')}: {seeds}. At the end: {ends}"


def draw(curve: Curve) -> Figure:
    """One thin line a seed, and their mean."""
    drawing = Figure((6, 3.2))
    axes = drawing.add_axes((0.14, 0.16, 0.84, 0.8))  # no search for a place: there are many of these
    several = len(curve.seeds) > 1
    for points in curve.seeds.values():
        axes.plot(*points.T, color=pictures.INK if several else pictures.BLUE, linewidth=0.9 if several else 2.0)
    if several:
        axes.plot(*curve.mean().T, color=pictures.BLUE, linewidth=2.2)
    axes.set_xlabel("updates" if "updates" in curve.said.get("length", "") else "environment steps", color=pictures.INK)
    axes.set_ylabel("return of an episode", color=pictures.INK)
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter(lambda steps, _: f"{steps:,.0f}")
    pictures.finish(axes)
    return drawing
