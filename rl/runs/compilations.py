"""What is being compiled while an agent trains; see jit/announce.py."""

import logging
from collections.abc import Callable

LOGGER = logging.getLogger("deepnp.jit")


class Compilations(logging.Handler):
    """Hears of kernels that are compiled, from `open` to `shut`.

    Where the program shows no records of level INFO, it goes on showing none.

    Parameters
    ----------
    note : callable
        Called with a line of text.
    """

    def __init__(self, note: Callable[[str], None]):
        super().__init__(logging.INFO)
        self._note = note
        self._before: tuple[int, bool] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self._note(record.getMessage())

    def open(self) -> None:
        """Begin to hear."""
        self._before = LOGGER.level, LOGGER.propagate
        LOGGER.addHandler(self)
        if not LOGGER.isEnabledFor(logging.INFO):
            LOGGER.setLevel(logging.INFO)
            LOGGER.propagate = False

    def shut(self) -> None:
        """Hear no more; the logger is as it was."""
        if self._before is not None:
            LOGGER.removeHandler(self)
            level, LOGGER.propagate = self._before
            LOGGER.setLevel(level)
            self._before = None
