"""Settings of algorithms: frozen dataclasses whose fields say what they mean and what they may be."""

from dataclasses import field, fields
from typing import Any

import numpy as np


def setting(default: Any, doc: str, low: float | None = None, high: float = np.inf, choices: tuple[str, ...] = ()) -> Any:
    """A field of a Config: its default, its meaning, and its valid range [low, high] or choices.

    An int default wants integers, a float default takes any number; None, as a default, also stands
    for "off".
    """
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices})


def check_config(config: Any) -> None:
    """Make NumPy's numbers Python's own, and raise ValueError for a field outside its range or choices.

    The message names the field, what was expected and what was given.
    """
    for f in fields(config):
        value = getattr(config, f.name)
        if isinstance(value, np.generic):
            value = value.item()
        if f.type == tuple[int, ...] and isinstance(value, list | tuple | np.ndarray):
            value = tuple(n.item() if isinstance(n, np.generic) else n for n in value)
        object.__setattr__(config, f.name, value)  # the dataclass is frozen, and not yet anybody's
        expected = None if value is None and f.default is None else _violated(f, value)
        if expected:
            raise ValueError(f"expected {type(config).__name__}.{f.name} as {expected}, given {value!r}")


def _violated(f, value) -> str | None:
    """What the field should have been; None where it is right."""
    low, high, choices = f.metadata["low"], f.metadata["high"], f.metadata["choices"]
    if choices:
        return None if value in choices else f"one of {choices}"
    if f.type is bool:
        return None if isinstance(value, bool) else "a bool"
    if f.type == tuple[int, ...]:
        valid = isinstance(value, tuple) and all(type(n) is int and n >= 1 for n in value)
        return None if valid else "a tuple of positive integers"
    whole = f.type in (int, int | None)
    of_type = type(value) is int if whole else isinstance(value, int | float) and not isinstance(value, bool)
    if of_type and low <= value <= high:
        return None
    return f"{'an integer' if whole else 'a number'} in [{low}, {high}]"


def whole_number(name: str, value: Any, low: int) -> int:
    """`value` as an int: an integer, or a float that is one, such as 1e6.

    Raises
    ------
    ValueError
        If it is no whole number >= low; the message names it.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or value != value or value in (np.inf, -np.inf) or int(value) != value or value < low:
        raise ValueError(f"expected {name} as an integer >= {low}, given {value!r}")
    return int(value)
