"""Ctrl-C that ends a training between two iterations instead of inside one."""

import signal


class Interrupt:
    """Inside a `with` block, the first Ctrl-C only sets `requested`; a second one raises KeyboardInterrupt as usual.

    An agent stopped between iterations is whole: its checkpoint resumes exactly. Use it in the main thread.
    """

    def __init__(self):
        self.requested = False

    def __enter__(self) -> "Interrupt":
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number, frame):
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
