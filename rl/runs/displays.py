"""Where progress is shown: the last line of a terminal, a cell of a notebook, or plain lines."""

import io
import sys
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn


class Display(Protocol):
    """Shows how far something is. `seconds` is how often it likes to be told."""

    seconds: float

    def start(self, total: int) -> None:
        """Show an empty bar."""

    def show(self, done: int, text: str, left: float | None) -> None:
        """So much is done of `total`; `left` seconds remain, or nobody knows."""

    def note(self, text: str) -> None:
        """Say what is being compiled meanwhile."""

    def stop(self) -> None:
        """Leave what was shown last."""


def replace_unknown_signs() -> None:
    """Print "?" for a sign that the terminal's encoding lacks, such as γ on cp1252."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def display_here(plain_seconds: float) -> Display:
    """The display for where this process writes to.

    Parameters
    ----------
    plain_seconds : float
        Between two plain lines.
    """
    console = Console()
    if console.is_jupyter:
        return NotebookCell()
    return TerminalLine(console) if console.is_terminal else PlainLines(plain_seconds)


class TerminalLine:
    """A bar in the last line of a terminal."""

    def __init__(self, console: Console):
        columns: list[ProgressColumn | str] = [
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[text]}"),
            TimeRemainingColumn(),
        ]
        self.seconds = 0.1
        self._bar = Progress(*columns, console=console, auto_refresh=False)

    def start(self, total: int) -> None:
        self._task = self._bar.add_task("", total=total, text="starting")
        self._bar.start()

    def show(self, done: int, text: str, left: float | None) -> None:
        self._bar.update(self._task, completed=done, text=text)
        self._bar.refresh()

    def note(self, text: str) -> None:
        self._bar.update(self._task, text=text)
        self._bar.refresh()

    def stop(self) -> None:
        self._bar.stop()


class PlainLines:
    """A line now and then, for a log file or a pipe."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._noted = False

    def start(self, total: int) -> None:
        self.total = total

    def show(self, done: int, text: str, left: float | None) -> None:
        print(self.line(done, text, left), flush=True)

    def line(self, done: int, text: str, left: float | None) -> str:
        """What is shown, in one line."""
        remaining = "" if left is None else f"  {left:.0f} s left"
        return f"{100 * done / self.total:3.0f} %  {text}{remaining}"

    def note(self, text: str) -> None:
        if not self._noted:  # dozens of kernels are compiled one after the other
            print("compiling kernels: the first steps take longer", flush=True)
        self._noted = True

    def stop(self) -> None:
        pass


class NotebookCell(PlainLines):
    """A line under a notebook's cell that is written over."""

    WIDTH = 24  # of the bar, in characters

    def __init__(self) -> None:
        super().__init__(0.2)

    def start(self, total: int) -> None:
        from IPython.display import display

        super().start(total)
        self._cell = display(_text("starting"), raw=True, display_id=True)

    def show(self, done: int, text: str, left: float | None) -> None:
        full = round(self.WIDTH * done / self.total)
        self._cell.update(_text("━" * full + "╌" * (self.WIDTH - full) + " " + self.line(done, text, left)), raw=True)

    def note(self, text: str) -> None:
        self._cell.update(_text(text), raw=True)


def _text(text: str) -> dict[str, str]:
    return {"text/plain": text}
