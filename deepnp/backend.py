"""The one file that knows NumPy from CuPy, how many threads to use, and whether fast kernels are on.

A tensor is a `numpy.ndarray` or a `cupy.ndarray`; there is no wrapper class. CuPy is optional: without it
everything imports and runs on the CPU.
"""

import os
from contextlib import contextmanager
from types import ModuleType

import numpy as np
from threadpoolctl import ThreadpoolController

from jit import Kernel, jit_disabled, kernel, ordered_kernel, summing_kernel

__all__ = [
    "Kernel",
    "array_module",
    "cuda_available",
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


class _Settings:
    """The two knobs of this process, and whether BLAS is held to one thread at the moment."""

    def __init__(self):
        self.kernels = not jit_disabled()  # a kernel in plain Python is slower than the plain form, and cannot call BLAS
        self.blas_limited = False
        self.threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_settings = _Settings()


def use_kernels(enabled: bool) -> None:
    """Turn every fast kernel on or off; off leaves the plain NumPy / CuPy forms that the files explain."""
    _settings.kernels = bool(enabled) and not jit_disabled()


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
