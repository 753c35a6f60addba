"""Learning curves as SVG and PNG."""

import os
from pathlib import Path

import numpy as np

from rl.training.run import read_progress


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Centred moving average that ignores NaN: (n,) -> (n,)."""
    known, kernel = np.isfinite(values), np.ones(window)
    total = np.convolve(np.where(known, values, 0), kernel, "same")
    return total / np.maximum(np.convolve(known, kernel, "same"), 1)


def plot_run(folder: str | os.PathLike, metrics: dict[str, str], title: str) -> list[Path]:
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
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    progress = read_progress(folder)
    shown = {name: label for name, label in metrics.items() if name in progress}
    figure, axes = plt.subplots(1, max(1, len(shown)), figsize=(4.2 * max(1, len(shown)), 3.2), squeeze=False)
    for axis, (name, label) in zip(axes[0], shown.items(), strict=False):
        steps, values = np.array(progress["steps"]) / 1e6, np.array(progress[name])
        axis.plot(steps, values, color="#9bb7d4", linewidth=0.8)
        axis.plot(steps, smooth(values, max(1, len(values) // 40)), color="#1f4e8c", linewidth=2)
        axis.set_xlabel("environment steps (millions)")
        axis.set_title(label, fontsize=10)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    files = [Path(folder) / f"learning_curve.{kind}" for kind in ("svg", "png")]
    for file in files:
        figure.savefig(file, dpi=130)
    plt.close(figure)
    return files
