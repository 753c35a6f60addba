"""Ctrl-C while learning, held back to a point where nothing is half done.

An interrupt may come between an environment's step and its entry into the memory, or between two halves of an optimizer's
step. Inside `SafePoint`, the first one waits until the loop says `reached()`; a second one is raised where it arrives.
"""

import signal


class SafePoint:
    """A `with` block in which KeyboardInterrupt is raised at `reached()` only. In other threads than the main one, nothing.

    A handler that somebody else installed for Ctrl-C stays in force.
    """

    def __init__(self):
        self._requested = self._installed = False

    def __enter__(self) -> "SafePoint":
        self._requested = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            try:
                signal.signal(signal.SIGINT, self._handle)
            except ValueError:  # not the main thread: no interrupt arrives here
                return self
            self._installed = True
        return self

    def __exit__(self, kind, *_) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False
        if kind is None:
            self.reached()

    def reached(self) -> None:
        """Raise KeyboardInterrupt now if one was asked for."""
        if self._requested:
            self._requested = False
            raise KeyboardInterrupt

    def _handle(self, number, frame):
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True
