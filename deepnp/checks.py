"""Checks at the door: what an operation or a module is given, compared with what it can take.

They cost one comparison a call, and they stand before every compiled kernel, which would read and
write beyond an array's end.
"""

from collections.abc import Iterator, Mapping

import numpy as np


def check_upstream(dy, shape: tuple[int, ...]) -> None:
    """Raise unless the upstream gradient has the shape of y; nothing is broadcast.

    Every `backward` calls it first: `check_upstream(dy, cache.y.shape)`.

    Raises
    ------
    ValueError
        For another shape.
    TypeError
        For what is no array.
    """
    check_shape("dy, shaped as y,", dy, shape)


def check_tangent(v, shape: tuple[int, ...]) -> None:
    """As `check_upstream`, for a tangent, which has the shape of the argument that it moves."""
    check_shape("a tangent", v, shape)


def check_shape(name: str, x, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless x has this shape, TypeError unless it is an array."""
    try:
        given = x.shape
    except AttributeError:
        raise TypeError(f"expected {name} to be an array, given {type(x).__name__}") from None
    if given != shape:
        raise ValueError(f"expected {name} of shape {shape}, given {given}")


def check_array(x, name: str = "input", write: str = "numpy.asarray(…, numpy.float32)") -> None:
    """Raise TypeError unless x is an array: no list, no number. `write` is what helps."""
    if not isinstance(getattr(x, "shape", None), tuple):
        raise TypeError(f"expected {name} to be an array, given {type(x).__name__}: {write}")


def check_named(state) -> None:
    """Raise TypeError unless this is a mapping, as `state_dict` gives it: no file's name, no list."""
    if not isinstance(state, Mapping):
        raise TypeError(f"expected arrays by name, given {type(state).__name__}")


def check_floats(x, name: str = "input") -> None:
    """Raise TypeError unless x is an array of floating-point numbers: no list, no integers,
    Booleans or complex numbers.
    """
    try:
        kind = x.dtype.kind
    except AttributeError:
        raise TypeError(f"expected {name} to be an array, given {type(x).__name__}: numpy.asarray(…, numpy.float32)") from None
    if kind != "f":
        raise TypeError(f"expected {name} of floating-point numbers, given {x.dtype}: x.astype(numpy.float32)")


def check_one_device(*values) -> None:
    """Raise TypeError if some arrays among the values, or in tuples among them, are on the CPU and some on the GPU."""
    places = {isinstance(x, np.ndarray) for x in _arrays(values)}
    if len(places) > 1:
        raise TypeError(
            "expected all arrays on one device, given some on the CPU and some on the GPU: "
            'net.to("cuda") moves a model, deepnp.backend.to_device(x, "cuda") an array'
        )


def _arrays(values) -> Iterator:
    for x in values:
        if isinstance(x, tuple):
            yield from _arrays(x)
        elif hasattr(x, "dtype") and getattr(x, "shape", None):
            yield x
