"""A function that Numba compiles when it is first called."""

import hashlib
import os
from collections.abc import Callable
from functools import cached_property
from types import CodeType, ModuleType

import numpy as np

from jit.announce import announce
from jit.cache import keep_on_disk

# Numba's OpenMP layer stalls for milliseconds on a busy machine; the work queue does not.
os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")


def jit_disabled() -> bool:
    """Whether NUMBA_DISABLE_JIT asks for plain Python."""
    return os.environ.get("NUMBA_DISABLE_JIT", "") not in ("", "0")


class Kernel:
    """A Numba kernel, compiled at its first call, so that an import does not import Numba.

    A kernel that another kernel calls becomes part of that one. If it were called across object files, the loader would take
    whichever copy of it came first, and each copy was optimised in other company: a process that compiles and a process
    that loads would get other bits.

    Parameters
    ----------
    function : callable
        What to compile. Types follow from the arguments; the kernel is compiled once for each combination.
    fastmath : bool or set of str
        LLVM's permissions to change roundings.
    nogil : bool
        Let other Python threads run meanwhile.
    """

    def __init__(self, function: Callable, fastmath: bool | set[str] = True, nogil: bool = True):
        self.function, self.fastmath, self.nogil = function, fastmath, nogil
        self.__doc__, self.__name__ = function.__doc__, function.__name__

    @cached_property
    def compiled(self) -> Callable:
        """Numba's dispatcher, or plain Python where compiling is switched off."""
        if jit_disabled():
            return self._plain
        dispatcher = self._dispatcher()
        announce(dispatcher, keep_on_disk(dispatcher, self.fingerprint()))
        return dispatcher

    @cached_property
    def inlined(self) -> Callable:
        """Numba's dispatcher for calls from other kernels. It stands here because Numba's types only refer to it weakly."""
        return self._dispatcher(forceinline=True)

    @property
    def _numba_type_(self):  # Numba asks for this where one kernel calls another
        return self.inlined._numba_type_

    def _dispatcher(self, **options):
        from numba import njit

        return njit(nogil=self.nogil, fastmath=self.fastmath, error_model="numpy", **options)(self.function)

    def _plain(self, *arguments):
        with np.errstate(all="ignore"):  # as the compiled form: random numbers are made of integers that overflow
            return self.function(*arguments)

    def fingerprint(self) -> str:
        """A digest of all that the machine code is made from: this kernel's code and constants, and those it calls."""
        digest = hashlib.sha256()
        for part in sorted(self._ingredients(set())):
            digest.update(part.encode() + b"\0")
        return digest.hexdigest()

    def _ingredients(self, seen: set) -> set[str]:
        if self in seen:
            return set()
        seen.add(self)
        function, flags = self.function, self.fastmath
        allowed = sorted(flags) if isinstance(flags, set) else flags
        parts = {f"{function.__module__}.{function.__qualname__} {allowed} {self.nogil} {_code(function.__code__)}"}
        for name, value in _globals(function):
            if isinstance(value, Kernel):
                parts |= value._ingredients(seen)
            elif isinstance(getattr(type(value), "_numba_type_", None), cached_property):  # an intrinsic of ours
                parts.add(f"{name} {_code(type(value)._numba_type_.func.__code__)}")
            elif isinstance(value, np.ndarray):
                parts.add(f"{name} {value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}")
            elif isinstance(value, bool | int | float | complex | str | bytes | tuple | np.generic):
                parts.add(f"{name} {value!r}")
        return parts

    def __call__(self, *arguments):
        return self.compiled(*arguments)


def _globals(function: Callable) -> list[tuple[str, object]]:
    """What a function's code names outside itself: in its module, in its closure, and in modules that it names."""
    names, known = function.__code__.co_names, function.__globals__
    found = [(name, known[name]) for name in names if name in known]
    found += zip(function.__code__.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()))
    own = [module for _, module in found if isinstance(module, ModuleType) and module is not np]
    return found + [(name, vars(module)[name]) for module in own for name in names if name in vars(module)]


def _code(code: CodeType) -> str:
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr((code.co_code.hex(), constants, code.co_names, code.co_varnames))
