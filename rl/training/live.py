"""Learning curves that grow in a notebook while an agent trains.

They are drawn without pyplot, so the notebook's own plots and its backend stay what they are.
"""

import io
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.runs.callbacks import Callback
from rl.training.curves import COLOURS, PALE, TITLE_SIZE, smooth, subplots

SHARE = 0.05  # of the training's time that drawing may take


class LiveCurves(Callback):
    """Draws curves into a notebook's cell: `agent.learn(steps, LiveCurves())`.

    Parameters
    ----------
    metrics : mapping of str to str
        Metric of an iteration -> title of its panel. Returns of evaluations are drawn beside
        "episode_return".
    seconds : float
        Between two pictures, at least.

    Raises
    ------
    ImportError
        Where IPython is not installed, so that this is no notebook.
    TypeError
        If metrics are given without titles.
    """

    def __init__(self, metrics: Mapping[str, str] | None = None, seconds: float = 2.0):
        try:
            from IPython import display
        except ImportError as error:
            raise ImportError("LiveCurves draws in a notebook: pip install ipykernel, or plot_run draws a run's folder") from error
        if not (metrics is None or isinstance(metrics, Mapping)):
            raise TypeError(f"expected metrics as a mapping from names to titles, given {metrics!r:.80}")
        self._show, self._image = display.display, display.Image
        self.metrics = dict(metrics or {"episode_return": "return while exploring", "episode_length": "steps of an episode"})
        self.seconds = seconds
        self._points: dict[str, list[tuple[int, float]]] = {name: [] for name in self.metrics}
        self._evaluations: list[tuple[int, float]] = []

    def on_start(self, agent: Any) -> None:
        self._cell = None  # another call of `learn` may be another cell of the notebook; its curves go on
        self._due = time.monotonic() + self.seconds

    def on_update(self, agent: Any, metrics: dict[str, float]) -> None:
        for name in self.metrics.keys() & metrics.keys():
            self._points[name].append((agent.steps, metrics[name]))
        if time.monotonic() >= self._due:
            self._draw()

    def on_evaluation(self, agent: Any, result: Mapping[str, np.ndarray]) -> None:
        self._evaluations.append((agent.steps, float(np.mean(result["return"]))))

    def on_end(self, agent: Any, error: BaseException | None) -> None:
        self._draw()

    def _draw(self) -> None:
        start = time.monotonic()
        picture = self._image(self.png())
        if self._cell is None:
            self._cell = self._show(picture, display_id=True)
        else:
            self._cell.update(picture)
        now = time.monotonic()
        self._due = now + max(self.seconds, (now - start) / SHARE)

    def png(self) -> bytes:
        """The present picture."""
        from matplotlib.ticker import EngFormatter, MaxNLocator

        figure, axes = subplots(len(self.metrics), height=2.8)
        for axis, (name, title) in zip(axes, self.metrics.items(), strict=True):
            axis.set_title(title, fontsize=TITLE_SIZE)
            axis.set_xlabel("environment steps")
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
            axis.xaxis.set_major_locator(MaxNLocator(5))
            if self._points[name]:
                steps, values = np.array(self._points[name]).T
                axis.plot(steps, values, color=PALE, linewidth=0.8)
                axis.plot(steps, smooth(values, max(1, len(values) // 40)), color=COLOURS[0], linewidth=2)
            if name == "episode_return" and self._evaluations:
                axis.plot(*np.array(self._evaluations).T, "o-", color=COLOURS[1], markersize=3, label="evaluated")
                axis.legend(frameon=False)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=90)
        return file.getvalue()
