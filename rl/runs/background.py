"""Work beside training: a checkpoint is written by one thread while the loop goes on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """Does one piece of work after the other in a thread of its own.

    What goes wrong there is raised here: by the next `check` or `wait`.

    Parameters
    ----------
    waiting : int
        Pieces that may be under way or wait for their turn; `start` waits where there are more.
    """

    def __init__(self, waiting: int = 2):
        self._limit = waiting
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="run")
        self._pending: list[Future[None]] = []

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return any(not future.done() for future in self._pending)

    @property
    def finished(self) -> bool:
        """Whether something is done whose end nobody has asked for yet."""
        return bool(self._pending) and self._pending[0].done()

    def start(self, work: Callable[[], None]) -> None:
        """Do `work` as soon as what was begun before is done."""
        self._settle(self._limit - 1)
        self._pending.append(self._pool.submit(work))

    def check(self) -> None:
        """Raise what went wrong in anything that is done."""
        while self.finished:
            self._settle(len(self._pending) - 1)

    def wait(self) -> None:
        """Wait until everything is done; raise what went wrong first, after all of it is over."""
        pending, self._pending = self._pending, []
        failures = [future.exception() for future in pending]
        for failure in failures:
            if failure is not None:
                raise failure

    def _settle(self, most: int) -> None:
        while len(self._pending) > most:
            self._pending.pop(0).result()
