"""A live progress line in the terminal; plain lines where there is no terminal."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from rl.agent import Agent


class ProgressBar:
    """Shows a training: pass `bar` as a callback, inside a `with` block.

    Parameters
    ----------
    total_steps : int
        Where the bar is full.
    shown : dict of str to str
        Metric -> format with one placeholder, e.g. {"kl": "KL {:.3f}"}.
    plain_seconds : float
        Without a terminal, a line is printed this often.
    """

    def __init__(self, total_steps: int, shown: dict[str, str], plain_seconds: float = 10.0):
        self.total_steps, self.shown, self._every = total_steps, shown, plain_seconds
        self.console = Console()
        columns: list[ProgressColumn | str] = [
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[text]}"),
            TimeRemainingColumn(),
        ]
        self._bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal, transient=False)
        self._latest: dict[str, float] = {}

    def __enter__(self) -> "ProgressBar":
        self._start = self._printed = time.monotonic()
        self._first_step: int | None = None
        self._bar.start()
        self._task = self._bar.add_task("", total=self.total_steps, text="starting")
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def __call__(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Show one iteration."""
        now = time.monotonic()
        if self._first_step is None:  # the first iteration compiles kernels: it would spoil the rate
            self._first_step, self._start = agent.steps, now
        self._latest |= metrics
        rate = (agent.steps - self._first_step) / (now - self._start) if now > self._start else 0.0
        parts = [f"{agent.steps:,} steps", f"{rate:,.0f} steps/s"]
        parts += [text.format(self._latest[name]) for name, text in self.shown.items() if name in self._latest]
        text = "  ".join(parts)
        self._bar.update(self._task, completed=min(agent.steps, self.total_steps), text=text)
        if not self.console.is_terminal and now - self._printed > self._every:
            left = (self.total_steps - agent.steps) / rate if rate else 0.0
            print(f"{100 * agent.steps / self.total_steps:3.0f} %  {text}  {left:.0f} s left", flush=True)
            self._printed = now
