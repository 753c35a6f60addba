"""A live progress line in a terminal or a notebook; plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rl.runs.callbacks import Callback
from rl.runs.compilations import Compilations
from rl.runs.displays import display_here

SHOWN = {"episode_return": "return {:.2f}", "episode_length": "length {:.0f}"}


class ProgressBar(Callback):
    """Shows a training: `agent.learn(steps, progress=True)` adds one.

    It says when a kernel is being compiled. A terminal that is closed meanwhile does not stop the
    training: nothing more is shown.

    Parameters
    ----------
    shown : mapping of str to str
        Metric -> format with one placeholder, e.g. {"kl": "KL {:.3f}"}.
    plain_seconds : float
        Without a terminal, a line is printed this often, and one at the end.

    Raises
    ------
    ValueError
        If a format is none, now rather than in the midst of the training.
    """

    def __init__(self, shown: Mapping[str, str] = SHOWN, plain_seconds: float = 10.0):
        self.total_steps, self.shown = 1, _checked(shown)
        self._display = display_here(plain_seconds)
        self._compilations = Compilations(lambda text: self._write(lambda: self._display.note(text)))
        self._latest: dict[str, float] = {}
        self._unshown: Callable[[], None] | None = None
        self._closed = False

    def on_start(self, agent: Any) -> None:
        self.total_steps = agent.total_steps
        self._start = self._shown_at = time.monotonic()
        self._first_step: int | None = None
        self._write(lambda: self._display.start(self.total_steps))
        self._compilations.open()

    def on_end(self, agent: Any, error: BaseException | None) -> None:
        self._compilations.shut()
        if self._unshown is not None:
            self._write(self._unshown)
        self._write(self._display.stop)

    def on_update(self, agent: Any, metrics: dict[str, float]) -> None:
        now = time.monotonic()
        if self._first_step is None:  # the first iteration compiles kernels: it would spoil the rate
            self._first_step, self._start = agent.steps, now
        self._latest |= metrics
        rate = (agent.steps - self._first_step) / (now - self._start) if now > self._start else 0.0
        done, text = min(agent.steps, self.total_steps), self._text(agent.steps, rate)
        self._unshown = lambda: self._display.show(done, text, None)
        if now - self._shown_at >= self._display.seconds:
            self._shown_at, self._unshown = now, None
            left = (self.total_steps - done) / rate if rate else None
            self._write(lambda: self._display.show(done, text, left))

    def _text(self, steps: int, rate: float) -> str:
        parts = [f"{steps:,} steps"] + ([f"{rate:,.0f} steps/s"] if rate else [])
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


def _checked(shown: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(shown, Mapping):
        raise TypeError(f"expected shown as a mapping from metrics to formats, given {shown!r:.80}")
    for name, text in shown.items():
        try:
            text.format(0.0)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise ValueError(f'expected the format of {name} with one placeholder, as in "{{:.2f}}", given {text!r:.80}') from error
    return dict(shown)
