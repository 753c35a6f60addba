"""The one file that knows NumPy from CuPy, how many threads to use, and whether fast kernels are on.

A tensor is a `numpy.ndarray` or a `cupy.ndarray`; there is no wrapper class. CuPy is optional: without it
everything imports and runs on the CPU.
"""

import os
import threading
from collections.abc import Callable
from functools import cached_property, partial
from types import ModuleType
from weakref import ref

import numpy as np
from threadpoolctl import ThreadpoolController

from jit import Kernel, exact_kernel, jit_disabled, kernel, ordered_kernel, summing_kernel

__all__ = [
    "Kernel",
    "array_module",
    "cuda_available",
    "device_of",
    "exact_kernel",
    "get_num_threads",
    "kernel",
    "kernel_runs",
    "kernels_enabled",
    "one_blas_thread",
    "ordered_kernel",
    "set_num_threads",
    "summing_kernel",
    "to_device",
    "use_kernels",
]


def array_module(x) -> ModuleType:
    """The library that x belongs to: `numpy` or `cupy`."""
    if isinstance(x, np.ndarray | np.generic):
        return np
    import cupy

    return cupy.get_array_module(x)


def to_device(x, device: str) -> np.ndarray:
    """x on "cpu" or "cuda", copied only when it is elsewhere.

    Raises
    ------
    ValueError
        For any other device, or for "cuda" where CuPy or a GPU is missing.
    """
    if device == "cpu":
        return x if isinstance(x, np.ndarray) else x.get()
    if device != "cuda":
        raise ValueError(f'expected device "cpu" or "cuda", given {device!r}')
    if not cuda_available():
        raise ValueError('device "cuda" needs CuPy and a GPU: pip install "deepnp-rl[cuda12]" (or cuda13)')
    import cupy

    return cupy.asarray(x)


def device_of(x) -> str:
    """Where x lies: "cpu" or "cuda"."""
    return "cpu" if isinstance(x, np.ndarray | np.generic) else "cuda"


def cuda_available() -> bool:
    """Whether CuPy is installed and sees a GPU."""
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount() > 0
    except Exception:  # CuPy raises its own errors for a missing driver, a missing library, a missing card
        return False


class _Settings:
    """The two knobs of this process: whether kernels are on, and how many threads to use."""

    def __init__(self):
        self.kernels = not jit_disabled()  # a kernel in plain Python is slower than the plain form, and cannot call BLAS
        self.threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_settings = _Settings()


def use_kernels(enabled: bool) -> None:
    """Turn every fast kernel on or off; off leaves the plain NumPy / CuPy forms that the files explain."""
    _settings.kernels = bool(enabled) and not jit_disabled()


def kernels_enabled() -> bool:
    """Whether fast kernels are on."""
    return _settings.kernels


def kernel_runs(*arrays) -> bool:
    """Whether the Numba kernel may take these arrays: kernels are on, and all are NumPy's, C-contiguous, of one native type.

    That type is float32 or float64; half and extended precision and another byte order take the plain form.
    """
    if not _settings.kernels:
        return False
    dtype = arrays[0].dtype
    for x in arrays:
        if type(x) is not np.ndarray or not x.flags.c_contiguous or x.dtype != dtype:
            return False
    return dtype in _NATIVE


_NATIVE = (np.dtype(np.float32), np.dtype(np.float64))


def set_num_threads(n: int) -> None:
    """How many threads deepnp may use, for BLAS and for work that runs side by side.

    Raises
    ------
    ValueError
        If n is not a positive integer.
    """
    if n != int(n) or n < 1:
        raise ValueError(f"expected a positive number of threads, given {n}")
    _settings.threads = int(n)
    _blas.set_threads(int(n))


def get_num_threads() -> int:
    """How many threads deepnp may use; at first, as many as the processors that this process may run on."""
    return _settings.threads


class _Blas:
    """How many threads the loaded BLAS libraries use: one as long as anybody asks for that, else what was set.

    BLAS has one setting for the whole process, but several Python threads may ask. Who asks is known by a token that lives as
    long as its block. So an interruption anywhere leaves nothing that the next block's end does not put right.

    A block inside a block takes no lock. It adds its token and then reads `limited`; the last to leave clears `limited` and
    then looks for tokens. So either the newcomer waits for the lock and limits again, or the one who leaves sees its token.
    """

    def __init__(self):
        self.tokens: dict[int, ref] = {}
        self.limited = False  # True means that all libraries use one thread
        self._lock = threading.RLock()

    @cached_property
    def _libraries(self) -> list[tuple[Callable, int]]:
        """How to set each library's threads, and how many it has outside our blocks; looked up once: it takes milliseconds."""
        found = [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
        # threadpoolctl lets the first Python thread alone set OpenBLAS's threads; who may is decided here by the tokens.
        return [(getattr(library, "_real_set_num_threads", library.set_num_threads), library.num_threads) for library in found]

    def set_threads(self, n: int) -> None:
        with self._lock:
            self._libraries = [(set_library, n) for set_library, _ in self._libraries]
            self.release()

    def limit(self) -> None:
        with self._lock:
            for set_library, _ in self._libraries:
                set_library(1)
            self.limited = True

    def release(self) -> None:
        with self._lock:
            limited, self.limited = self.limited, False
            if self.tokens:
                self.limited = limited
                return
            for set_library, threads in self._libraries:
                set_library(threads)


_blas = _Blas()


class one_blas_thread:  # in lower case, as contextlib's
    """Within `with one_blas_thread():`, a matrix product uses one thread; in all Python threads, until the last block ends."""

    __slots__ = ("__weakref__",)

    def __enter__(self) -> None:
        key = id(self)
        _blas.tokens[key] = ref(self, partial(_blas.tokens.pop, key))  # a token that dies inside its block is taken out
        if not _blas.limited:
            _blas.limit()

    def __exit__(self, *error) -> None:
        _blas.tokens.pop(id(self), None)
        if not _blas.tokens:
            _blas.release()
