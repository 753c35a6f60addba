"""The one file that knows NumPy from CuPy, how many threads to use, and whether fast kernels are on.

A tensor is a `numpy.ndarray` or a `cupy.ndarray`; there is no wrapper class. CuPy is optional: without it
everything imports and runs on the CPU.
"""

import os
from collections.abc import Callable
from contextlib import contextmanager
from functools import cached_property, partial
from types import ModuleType

import numpy as np
from threadpoolctl import ThreadpoolController

# Numba's OpenMP layer stalls for milliseconds on a busy machine; the work queue does not.
os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")


def array_module(x) -> ModuleType:
    """The library that x belongs to: `numpy` or `cupy`."""
    if isinstance(x, np.ndarray | np.generic):
        return np
    import cupy

    return cupy.get_array_module(x)


def to_device(x, device: str):
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
        raise ValueError('device "cuda" needs CuPy and a GPU: pip install "deepnp[cuda12]" (or cuda13)')
    import cupy

    return cupy.asarray(x)


def cuda_available() -> bool:
    """Whether CuPy is installed and sees a GPU."""
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount() > 0
    except Exception:  # CuPy raises its own errors for a missing driver, a missing library, a missing card
        return False


class Kernel:
    """A Numba kernel that is compiled when it is first called, so that importing deepnp does not import Numba.

    Calls inside other kernels work as well. Compiled code is cached on disk beside its source file.
    """

    def __init__(self, function: Callable, fastmath: bool | set[str] = True, nogil: bool = True):
        self.function, self.fastmath, self.nogil = function, fastmath, nogil
        self.__doc__, self.__name__ = function.__doc__, function.__name__

    @cached_property
    def compiled(self):
        from numba import njit

        compiled = njit(cache=True, nogil=self.nogil, fastmath=self.fastmath, error_model="numpy")(self.function)
        # Numba looks at this kernel's own file only; what it inlines from other files must be fresh as well.
        file = compiled._cache._cache_file
        file._source_stamp = file._source_stamp, tuple((path, os.stat(path).st_mtime_ns) for path in sorted(self.sources()))
        return compiled

    def sources(self) -> set[str]:
        """The files of this kernel and of all kernels that it calls."""
        names, known = self.function.__code__.co_names, self.function.__globals__
        called = [known.get(name) for name in names]
        called += [vars(m).get(name) for m in called if isinstance(m, ModuleType) for name in names]
        return {self.function.__code__.co_filename}.union(*(k.sources() for k in called if isinstance(k, Kernel)))

    @property
    def _numba_type_(self):  # Numba asks for this where one kernel calls another
        return self.compiled._numba_type_

    def __call__(self, *arguments):
        return self.compiled(*arguments)


kernel = Kernel  # sums may be reordered, NaN is not looked for
summing_kernel = partial(Kernel, fastmath={"contract", "reassoc", "arcp", "nsz"})  # sums may be reordered, a NaN is passed on
ordered_kernel = partial(Kernel, fastmath={"contract"})  # every rounding and every NaN as written


class _Settings:
    """The two knobs of this process, and whether BLAS is held to one thread at the moment."""

    def __init__(self):
        self.kernels = True
        self.blas_limited = False
        self.threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_settings = _Settings()


def use_kernels(enabled: bool) -> None:
    """Turn every fast kernel on or off; off leaves the plain NumPy / CuPy forms that the files explain."""
    _settings.kernels = bool(enabled)


def kernels_enabled() -> bool:
    """Whether fast kernels are on."""
    return _settings.kernels


def kernel_runs(*arrays) -> bool:
    """Whether the Numba kernel may take these arrays: kernels are on, and all are NumPy's, C-contiguous, of one float type."""
    if not _settings.kernels:
        return False
    dtype = arrays[0].dtype
    for x in arrays:
        if type(x) is not np.ndarray or not x.flags.c_contiguous or x.dtype != dtype:
            return False
    return dtype.kind == "f"


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
    _blas().limit(limits=int(n), user_api="blas")


def get_num_threads() -> int:
    """How many threads deepnp may use; at first, as many as the processors that this process may run on."""
    return _settings.threads


@contextmanager
def one_blas_thread():
    """Within this block, a matrix product uses one thread."""
    if _settings.blas_limited:  # looking the libraries up again would cost more than a small product
        yield
        return
    with _blas().limit(limits=1, user_api="blas"):
        _settings.blas_limited = True
        try:
            yield
        finally:
            _settings.blas_limited = False


_controllers: list[ThreadpoolController] = []


def _blas() -> ThreadpoolController:
    """The loaded BLAS libraries, looked up once: the search takes milliseconds."""
    if not _controllers:
        _controllers.append(ThreadpoolController())
    return _controllers[0]
