"""How an operation chooses its fast form, so that its page can begin with the mathematics.

A page defines `forward` and `backward` in plain NumPy / CuPy, then their fast forms, and ends with the choice between them:

    forward = accelerated(forward, cpu=_forward_fast, gpu=_forward_on_gpu, check=_check)
    backward = accelerated(backward, cpu=_backward_fast, gpu=_backward_on_gpu, y_shape=lambda cache: cache.x.shape)

A compiled kernel reads and writes where it is told to. What it may be told is decided here and nowhere else: the shapes are
checked before either form runs, and a fast form only sees arrays of one library and one native float type, in C order.
Everything else (float16, another byte order, odd strides, integers, NumPy's scalars and subclasses) takes the plain form.
So does what a fast form declines by returning None.
"""

import inspect
from collections.abc import Callable
from functools import wraps

import numpy as np

from deepnp.backend import kernels_enabled
from deepnp.checks import check_floats, check_one_device, check_upstream

SCALARS = {float, int, bool, type(None)}  # arguments that are no arrays
SINGLE = (np.dtype(np.float32),)
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def accelerated(
    plain: Callable,
    *,
    cpu: Callable | None = None,
    gpu: Callable | None = None,
    types: tuple[np.dtype, ...] = FLOATS,
    check: Callable | None = None,
    y_shape: Callable | None = None,
    integers: bool = False,
) -> Callable:
    """A function with plain's signature that runs the fastest form that may take its arguments.

    Parameters
    ----------
    plain : callable
        The form that people read. Its first argument is an array.
    cpu, gpu : callable or None
        The same function over Numba's and CuPy's kernels, called with all of plain's arguments by position. It may return None
        for what it cannot take after all: then the plain form runs.
    types : tuple of numpy.dtype
        What the CPU's kernels are written for: FLOATS, or SINGLE where they know float32 only. The GPU's know both.
    check : callable or None
        Called with the arguments before any form runs; raises ValueError where their shapes do not fit one another.
    y_shape : callable or None
        For a `backward(dy, cache)`: maps the cache to y's shape, which dy must have. Nothing is broadcast.
    integers : bool
        Whether the first argument may be integers (TypeError otherwise): their arithmetic wraps and truncates.
    """
    parameters = inspect.signature(plain).parameters.values()
    defaults, count = [p.default for p in parameters if p.default is not p.empty], len(parameters)

    @wraps(plain)
    def chosen(*arguments, **settings):
        if settings or len(arguments) < count:
            arguments = _complete(plain, arguments, settings, count, defaults)
        first = arguments[0]
        if y_shape is not None and getattr(first, "shape", None) != (shape := y_shape(arguments[1])):
            check_upstream(first, shape)
        if check is not None:
            check(*arguments)
        fast, known = (cpu, types) if type(first) is np.ndarray else (gpu_form(first, gpu), FLOATS)
        if fast is not None and kernels_enabled() and first.dtype in known and first.size and _uniform(arguments, first):
            result = fast(*arguments)
            if result is not None:
                return result
        if first.dtype.kind != "f" and not integers:
            check_floats(first)
        try:
            return plain(*arguments)
        except TypeError:
            check_one_device(*arguments)  # CuPy's own words name a class of its own
            raise

    return chosen


def _complete(plain: Callable, arguments: tuple, settings: dict, count: int, defaults: list) -> tuple:
    """All arguments by position."""
    missing = count - len(arguments)
    if not settings and missing <= len(defaults):
        return (*arguments, *defaults[len(defaults) - missing :])
    bound = inspect.signature(plain).bind(*arguments, **settings)
    bound.apply_defaults()
    return bound.args


def gpu_form(first, gpu: Callable | None) -> Callable | None:
    """The form over CuPy's kernels, where the first argument is an array of CuPy's."""
    if not hasattr(first, "dtype"):
        raise TypeError(f"expected an array, given {type(first).__name__}: numpy.asarray(…, numpy.float32)")
    return None if isinstance(first, np.ndarray | np.generic) else gpu


def _uniform(arguments: tuple, first) -> bool:
    """Whether all arrays, those of a cache too, are of one library and in C order; all floats of first's dtype, all else native."""
    kind, dtype = type(first), first.dtype
    for x in arguments:
        if type(x) is kind:
            if not x.flags.c_contiguous or (x.dtype is not dtype and not _goes_with(x.dtype, dtype)):
                return False
        elif type(x) not in SCALARS and not (_uniform(x, first) if isinstance(x, tuple) else _no_array(x)):
            return False
    return True


def _goes_with(other: np.dtype, dtype: np.dtype) -> bool:
    return other == dtype or (other.kind in "iub" and other.isnative)


def _no_array(x) -> bool:
    return not hasattr(x, "dtype")
