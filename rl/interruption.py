"""Ctrl-C while learning, held back to a point where nothing is half done.

An interrupt may come between an environment's step and its entry into the memory, or between two halves of an optimizer's
step. Inside `SafePoint`, one waits until the loop says `reached()`, and then does what it would have done; a second one that
comes before that does so at once.
"""

import signal
from collections.abc import Callable
from typing import Any


class SafePoint:
    """A `with` block in which Ctrl-C takes effect at `reached()` only. In other threads than the main one, nothing.

    What takes effect is whatever handler was there before: Python's own, which raises KeyboardInterrupt, or somebody's.
    """

    def __init__(self):
        self._pending: tuple | None = None
        self._handler: Callable[..., Any] | None = None  # what was there before

    def __enter__(self) -> "SafePoint":
        self._pending, handler = None, signal.getsignal(signal.SIGINT)
        if callable(handler) and self._handler is None:
            try:
                signal.signal(signal.SIGINT, self._hold)
            except ValueError:  # not the main thread: no interrupt arrives here
                return self
            self._handler = handler
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if self._handler is None:
            return
        handler, self._handler = self._handler, None
        signal.signal(signal.SIGINT, handler)
        if kind is None and self._pending is not None:
            pending, self._pending = self._pending, None
            handler(*pending)

    def reached(self) -> None:
        """Let an interrupt that waits take effect now."""
        if self._pending is not None and self._handler is not None:
            pending, self._pending = self._pending, None
            self._handler(*pending)

    def _hold(self, number, frame):
        if self._handler is None:  # between two lines of `__enter__` or `__exit__`: nothing is under way
            raise KeyboardInterrupt
        if self._pending is not None:
            self._handler(number, frame)
        self._pending = number, frame
