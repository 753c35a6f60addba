"""Work side by side on threads that stay.

Waking a thread that sleeps takes as long as a product of two 256 × 256 matrices, and a learner hands work over thousands of times
a second. So who waits here first spins for a moment, in a kernel that does not hold Python's lock, and only then goes to sleep.

Ctrl-C may end the caller's Python code between any two calls. So whatever two threads agree on here changes in one step that
either has happened or has not: work is put into a queue, and it is claimed by whoever comes first, helper or caller. To ask again
does no harm. A helper that gets lost between two steps is forgotten, ends, and is replaced.
"""

import os
import threading
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import perf_counter
from weakref import WeakSet

from deepnp.backend import get_num_threads, kernels_enabled, one_blas_thread
from deepnp.chooser import Chooser
from deepnp.spin import report_and_spin, spin

SPINS = 500_000  # before sleep: about a third of a millisecond


def side_by_side(*functions: Callable[[], object], worthwhile: bool = True) -> list:
    """Results of independent functions, run at the same time where that is faster, each with one BLAS thread.

    Two middling networks on two threads beat one network after the other on a two-thread BLAS. Tiny ones do not: their
    threads spend their time handing Python's lock to each other, and a caller that knows says `worthwhile=False`.
    Nor does anything on a busy machine, which is found out by trying (`deepnp.chooser`).
    The results do not depend on any of this. Whatever happens, Ctrl-C too, nobody works on after this function has left.
    """
    with one_blas_thread():
        if not worthwhile or len(functions) < 2 or get_num_threads() < 2:
            return [f() for f in functions]
        start = perf_counter()
        results = _with_helpers(functions) if _chooser.helpers else [f() for f in functions]
        _chooser.record(start, perf_counter())
        return results


_chooser = Chooser()


def _with_helpers(functions: Sequence[Callable]) -> list:
    helpers: list[_Helper] = []
    try:
        _take(min(get_num_threads(), len(functions)) - 1, helpers)
        return _shared(functions, helpers) if helpers else [f() for f in functions]
    finally:
        while helpers:
            helpers.pop().give_back()


def _shared(functions: Sequence[Callable], helpers: list["_Helper"]) -> list:
    parts = len(helpers) + 1
    jobs = [_Job(functions[i::parts], helper) for i, helper in enumerate(helpers, 1)]
    try:
        try:
            for helper, job in zip(helpers, jobs, strict=True):
                helper.job = job
                job.begin()
            results: list = [None] * len(functions)
            results[::parts] = [f() for f in functions[::parts]]
            for i, job in enumerate(jobs, 1):
                results[i::parts] = job.results()
            return results
        finally:
            _settle(jobs)
    finally:
        _settle(jobs)  # the first of these calls may be interrupted as it begins


def _settle(jobs: list["_Job"]) -> None:
    """Return when no helper works on these, however often it is interrupted."""
    try:
        for job in jobs:
            job.settle()
    except BaseException:  # Ctrl-C
        _settle(jobs)
        raise


class _Job:
    """Functions that a helper shall run, and what came of it.

    It does not hold the helper, which holds it: a helper that gets lost ends at once, not when the garbage is collected.
    """

    __slots__ = ("_claims", "_error", "_finished", "_functions", "_inbox", "_numbers", "_values", "_wake", "number")

    def __init__(self, functions: Sequence[Callable], helper: "_Helper"):
        self._functions, self._inbox, self._numbers = functions, helper.inbox, (helper.begun, helper.ended)
        self._claims: dict[str, str] = {}
        self._values: list = []
        self._error: BaseException | None = None
        self._finished = False
        self._wake = threading.Lock()
        self._wake.acquire()
        self.number = helper.begun[0] + 1

    def begin(self) -> None:
        self._inbox.put(self)
        self._numbers[0][0] = self.number  # for who spins

    def claim(self, who: str) -> bool:
        """Whether the work is the helper's, or the caller's: whose was the first claim. One step, and may be repeated."""
        return self._claims.setdefault("by", who) == who

    def run(self) -> None:
        """The helper's part."""
        try:
            self._values = [f() for f in self._functions]
        except BaseException as error:  # it is the caller's
            self._error = error
        self._functions, self._finished = (), True
        self._wake.release()

    def results(self) -> list:
        """The values; a helper that has not begun yet will find nothing to do."""
        if self.claim("caller"):
            with suppress(Empty):  # so that the helper does not come for it
                self._inbox.get_nowait()
            return [f() for f in self._functions]
        self.wait()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback knows this job
        return self._values

    def settle(self) -> None:
        if not self.claim("caller"):
            self.wait()

    def wait(self) -> None:
        if not self._finished and kernels_enabled():
            spin(self._numbers[1].buffer_info()[0], self.number, SPINS)
        while not self._finished:
            self._wake.acquire()  # released once, when the job is finished already

    @property
    def settled(self) -> bool:
        return self._finished or self._claims.get("by") == "caller"


class _Helper:
    """A thread that waits for work, does it, and waits again, until nobody holds this object any more.

    `begun` and `ended` are the numbers of the last job that was put into the inbox and of the last that was done.
    """

    def __init__(self):
        self.inbox: SimpleQueue = SimpleQueue()
        self.begun, self.ended = array("q", [0]), array("q", [0])
        self.job: _Job | None = None
        arguments = self.inbox, self.begun, self.ended
        threading.Thread(target=_serve, args=arguments, name="deepnp", daemon=True).start()

    def give_back(self) -> None:
        if self.job is None or self.job.settled:
            self.job = None
            _free.append(self)

    def __del__(self):
        self.inbox.put(None)


def _serve(inbox: SimpleQueue, begun: array, ended: array) -> None:
    known, addresses = 0, (ended.buffer_info()[0], begun.buffer_info()[0])
    while True:
        more = kernels_enabled() and report_and_spin(*addresses, known, SPINS)
        known = begun[0]
        try:
            job = inbox.get(block=not more)
        except Empty:  # its caller has taken it back
            continue
        if job is None:
            return
        known = job.number
        if job.claim("helper"):
            job.run()
        del job  # what it holds on to


_free: list[_Helper] = []  # those that nobody uses
_made: WeakSet[_Helper] = WeakSet()


def _take(count: int, helpers: list[_Helper]) -> None:
    """Add up to so many helpers; fewer while others have them, for then every processor is busy already."""
    while len(helpers) < count:
        try:
            helpers.append(_free.pop())
        except IndexError:
            if len(_made) >= get_num_threads() - 1:
                return
            helpers.append(_Helper())
            _made.add(helpers[-1])


def _forget() -> None:
    """In a forked process: it has none of its parent's threads."""
    _free.clear()
    _made.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
