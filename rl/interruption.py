"""Ctrl-C while learning, held back to a point where nothing is half done.

An interrupt may come between an environment's step and its entry into the memory, or between two
halves of an optimizer's step. Inside `SafePoint`, one waits until the loop says `reached()`, and
then does what it would have done; a second one that comes before that does so at once. The first
one is acknowledged on the standard error, because an iteration may take a while.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

ACKNOWLEDGED = b"\nstopping as soon as no step is half done\n"


class SafePoint:
    """A `with` block in which Ctrl-C takes effect at `reached()` only. In other threads than the main one, nothing.

    What takes effect is whatever handler was there before: Python's own, which raises
    KeyboardInterrupt, or somebody's.

    Attributes
    ----------
    quiet : bool
        Whether to say nothing.
    whole : bool
        Whether an interrupt was raised by `reached()`: nothing is half done then.
    """

    def __init__(self):
        self.quiet = self.whole = False
        self._pending: tuple | None = None
        self._handler: Callable[..., Any] | None = None  # what was there before

    def __enter__(self) -> "SafePoint":
        self.whole = False
        handler = signal.getsignal(signal.SIGINT)
        if handler == self._hold:  # a block inside a block
            return self
        self._pending = self._handler = None
        if callable(handler):
            self._handler = handler  # first: `_hold` may be called as soon as it is installed
            try:
                signal.signal(signal.SIGINT, self._hold)
            except ValueError:  # not the main thread: no interrupt arrives here
                self._handler = None
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if self._handler is None:
            return
        handler = self._handler
        signal.signal(signal.SIGINT, handler)  # first: until then `_hold` may be called
        self._handler = None
        if kind is None and self._pending is not None:
            pending, self._pending = self._pending, None
            handler(*pending)

    def reached(self) -> None:
        """Let an interrupt that waits take effect now."""
        if self._pending is not None and self._handler is not None:
            pending, self._pending = self._pending, None
            self.whole = True
            self._handler(*pending)
            self.whole = False

    def _hold(self, number, frame):
        if self._pending is not None:
            self._handler(number, frame)
        elif not self.quiet:
            with suppress(OSError):
                os.write(2, ACKNOWLEDGED)  # not sys.stderr, in whose midst the signal may have come
        self._pending = number, frame
