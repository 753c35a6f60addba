"""Work side by side on threads that stay.

Waking a thread that sleeps takes as long as a product of two 256 × 256 matrices, and a learner hands work over thousands of times
a second. So who waits here first looks on for a moment, in a kernel that does not hold Python's lock, and only then goes to sleep.
"""

import os
import threading
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from deepnp.backend import get_num_threads, kernel, kernels_enabled, one_blas_thread

LOOKS = 500_000  # before sleep: about a third of a millisecond


def side_by_side(*functions: Callable[[], object], worthwhile: bool = True) -> list:
    """Results of independent functions, run at the same time where there are threads, each with one BLAS thread.

    Two middling networks on two threads beat one network after the other on a two-thread BLAS. Tiny ones do not: their
    threads spend their time handing Python's lock to each other, and a caller that knows says `worthwhile=False`.
    The results do not depend on any of this.
    """
    helpers = _helpers(min(get_num_threads(), len(functions)) - 1)
    with one_blas_thread():
        # Within such work, or while another thread has the helpers, everything is busy already.
        if not helpers or not worthwhile or not _helping.acquire(blocking=False):
            return [f() for f in functions]
        try:
            shares = [functions[i :: len(helpers) + 1] for i in range(len(helpers) + 1)]
            for helper, share in zip(helpers, shares[1:], strict=True):
                helper.begin(share)
            try:
                first = [f() for f in shares[0]]
            finally:
                for helper in helpers:
                    helper.wait()  # whatever happens, nobody works on after we have left
            results = [None] * len(functions)
            for i, share in enumerate([first, *(helper.results() for helper in helpers)]):
                results[i :: len(helpers) + 1] = share
            return results
        finally:
            _helping.release()


class _Signal:
    """Passed from one thread to another, any number of times: a lock, and a count to look at before sleeping on the lock."""

    def __init__(self):
        self._lock, self._count, self._taken = threading.Lock(), np.zeros(1, np.int64), 0
        self._lock.acquire()

    def give(self) -> None:
        self._lock.release()
        self._count[0] += 1

    def take(self) -> None:
        if kernels_enabled():
            _look(self._count.ctypes.data, self._taken, LOOKS)
        self._lock.acquire()
        self._taken += 1


class _Helper:
    """A thread that waits for work, does it, and waits again."""

    def __init__(self):
        self._begin, self._end = _Signal(), _Signal()
        self._work: Sequence[Callable] = ()
        self._results: list = []
        self._error: BaseException | None = None
        threading.Thread(target=self._loop, name="deepnp", daemon=True).start()

    def begin(self, functions: Sequence[Callable]) -> None:
        self._work = functions
        self._begin.give()

    def wait(self) -> None:
        try:
            self._end.take()
        except BaseException:  # Ctrl-C
            self._end.take()
            raise

    def results(self) -> list:
        if self._error is not None:
            raise self._error
        return self._results

    def _loop(self):
        while True:
            self._begin.take()
            self._error = None
            try:
                self._results = [f() for f in self._work]
            except BaseException as error:  # it is the caller's
                self._error = error
            self._work = ()
            self._end.give()


_pool: list[_Helper] = []
_helping = threading.Lock()  # held while the helpers are at work
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)  # a forked process has none of its parent's threads


def _helpers(count: int) -> list[_Helper]:
    """So many helpers, made when they are first asked for."""
    while len(_pool) < count:
        _pool.append(_Helper())
    return _pool[: max(count, 0)]


class _Load:
    """`load(address)`, in kernels only: the int64 there, read again at each call whatever the compiler thinks."""

    @cached_property
    def _numba_type_(self):  # Numba asks for this where a kernel names the object; importing deepnp does not import Numba
        from llvmlite import ir
        from numba.core import types
        from numba.core.registry import cpu_target
        from numba.extending import intrinsic

        @intrinsic
        def load(typing, address):
            def code(context, builder, sig, values):
                return builder.load_atomic(builder.inttoptr(values[0], ir.IntType(64).as_pointer()), "acquire", 8)

            return types.int64(types.int64), code

        cpu_target.typing_context.refresh()
        return cpu_target.typing_context.resolve_value_type(load)


_load = _Load()


@kernel
def _look(address, old, times):
    """Wait until the int64 at `address` is no longer `old`, but not for ever."""
    for _ in range(times):
        if _load(address) != old:
            return
