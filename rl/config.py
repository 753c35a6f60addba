"""Settings of algorithms: frozen dataclasses whose fields say what they mean and what they may be."""

from dataclasses import field, fields
from typing import Any

import numpy as np


def setting(default: Any, doc: str, low: float | None = None, high: float = np.inf, choices: tuple[str, ...] = ()) -> Any:
    """A field of a Config: its default, its meaning, and its valid range [low, high] or choices.

    An int default wants integers, a float default takes any number; None, as a default, also stands for "off".
    """
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices})


def check_config(config: Any) -> None:
    """Raise ValueError for a field outside its range or choices; the message names field, expected and given."""
    for f in fields(config):
        value, low, high, choices = getattr(config, f.name), f.metadata["low"], f.metadata["high"], f.metadata["choices"]
        expected = ""
        if value is None and f.default is None:
            continue
        if choices:
            expected = "" if value in choices else f"one of {choices}"
        elif f.type is bool:
            expected = "" if isinstance(value, bool) else "a bool"
        elif f.type == tuple[int, ...]:
            valid = isinstance(value, tuple) and all(type(n) is int and n >= 1 for n in value)
            expected = "" if valid else "a tuple of positive integers"
        else:
            whole = f.type in (int, int | None)
            of_type = type(value) is int if whole else isinstance(value, int | float) and not isinstance(value, bool)
            if not of_type or not low <= value <= high:
                expected = f"{'an integer' if whole else 'a number'} in [{low}, {high}]"
        if expected:
            raise ValueError(f"expected {type(config).__name__}.{f.name} as {expected}, given {value!r}")
