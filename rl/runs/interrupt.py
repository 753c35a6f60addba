"""Signals that end a training between two iterations, and never in the middle of a file.

Ctrl-C (SIGINT), SIGTERM (`docker stop`, Slurm, `kill`) and SIGHUP (a closed terminal) are treated
alike.
"""

import inspect
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in dir(signal)]


class Interrupt:
    """Inside a `with` block, a signal only sets `requested`; a second Ctrl-C raises as usual.

    An agent stopped between two iterations is whole: its checkpoint resumes exactly. SIGTERM and
    SIGHUP may come any number of times, as they do from schedulers.

    Blocks may be nested: a request reaches all that are open. A signal that is ignored (`nohup`),
    or for which somebody else installed a handler, stays as it is. Only the main thread receives
    signals: in any other one the block does nothing.

    Parameters
    ----------
    on_request : callable, optional
        Called by each signal.
    signals : sequence of int
        Which ones.

    Attributes
    ----------
    requested : bool
        Whether to end.
    number : int or None
        The latest signal that asked, where no outer block heard it.
    """

    def __init__(self, on_request: Callable[[], object] | None = None, signals: Sequence[int] = SIGNALS):
        self.number: int | None = None
        self._on_request, self._signals = on_request, signals
        self._own = False
        self._before: dict[int, object] = {}
        self._outer: Interrupt | None = None

    @property
    def requested(self) -> bool:
        return self._own or (self._outer is not None and self._outer.requested)

    def __enter__(self) -> "Interrupt":
        if self._before:
            raise RuntimeError("this Interrupt is in use already: expected a new one for each block")
        for number in self._signals:
            handler = signal.getsignal(number)
            outer = handler.__self__ if inspect.ismethod(handler) else None
            if handler in (signal.default_int_handler, signal.SIG_DFL) or isinstance(outer, Interrupt):
                try:
                    signal.signal(number, self._handle)
                except ValueError:  # not the main thread
                    return self
                self._before[number] = handler
                self._outer = outer if isinstance(outer, Interrupt) else self._outer
        return self

    def __exit__(self, *_) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
        self._own, self._outer = self.requested, None

    def _handle(self, number, frame):
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number if self._outer is None else None
        self._request()

    def _request(self):
        self._own = True
        if self._on_request is not None:
            self._on_request()
        if self._outer is not None:
            self._outer._request()


@contextmanager
def signals_deferred() -> Iterator[None]:
    """A `with` block whose signals take effect at its end: what it writes is written whole."""
    before, arrived = {}, []
    try:
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if handler is not None and handler is not signal.SIG_IGN:
                signal.signal(number, lambda number, frame: arrived.append(number))
                before[number] = handler
    except ValueError:  # not the main thread: no signal arrives here
        pass
    try:
        yield
    finally:
        while before:
            signal.signal(*before.popitem())
        for number in arrived:
            signal.raise_signal(number)
