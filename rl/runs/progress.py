"""A live progress line in the terminal or a notebook; plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from rl.runs.callbacks import Callback

REFRESH_SECONDS = 0.1
SHOWN = {"episode_return": "return {:.2f}", "episode_length": "length {:.0f}"}


class ProgressBar(Callback):
    """Shows a training: `agent.learn(steps, progress=True)` adds one.

    A terminal that is closed meanwhile does not stop the training: nothing more is shown.

    Parameters
    ----------
    shown : mapping of str to str
        Metric -> format with one placeholder, e.g. {"kl": "KL {:.3f}"}.
    plain_seconds : float
        Without a terminal, a line is printed this often.
    """

    def __init__(self, shown: Mapping[str, str] = SHOWN, plain_seconds: float = 10.0):
        self.total_steps, self.shown = 1, shown
        self.console = Console()
        self._live = self.console.is_terminal
        self._every = REFRESH_SECONDS if self._live else plain_seconds
        columns: list[ProgressColumn | str] = [
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[text]}"),
            TimeRemainingColumn(),
        ]
        self._bar = Progress(*columns, console=self.console, disable=not self._live, auto_refresh=False)
        self._latest: dict[str, float] = {}
        self._closed = False

    def on_start(self, agent: Any) -> None:
        self.total_steps = agent.total_steps
        self._start = self._printed = time.monotonic()
        self._first_step: int | None = None
        self._task = self._bar.add_task("", total=self.total_steps, text="starting")
        self._write(self._bar.start)

    def on_end(self, agent: Any, error: BaseException | None) -> None:
        self._write(self._bar.stop)

    def on_update(self, agent: Any, metrics: dict[str, float]) -> None:
        now = time.monotonic()
        if self._first_step is None:  # the first iteration compiles kernels: it would spoil the rate
            self._first_step, self._start = agent.steps, now
        self._latest |= metrics
        rate = (agent.steps - self._first_step) / (now - self._start) if now > self._start else 0.0
        done = min(agent.steps, self.total_steps)
        text = self._text(agent.steps, rate)
        self._bar.update(self._task, completed=done, text=text)
        if now - self._printed >= self._every:
            self._printed = now
            left = (self.total_steps - done) / rate if rate else 0.0
            line = f"{100 * done / self.total_steps:3.0f} %  {text}  {left:.0f} s left"
            self._write(self._bar.refresh if self._live else lambda: print(line, flush=True))

    def _text(self, steps, rate) -> str:
        parts = [f"{steps:,} steps", f"{rate:,.0f} steps/s"]
        parts += [text.format(self._latest[name]) for name, text in self.shown.items() if name in self._latest]
        return "  ".join(parts)

    def _write(self, action: Callable[[], None]) -> None:
        """Write to the terminal, until it is gone."""
        if self._closed:
            return
        try:
            action()
        except OSError:
            self._closed = True
