"""Settings of algorithms: frozen dataclasses whose fields say what they mean and what they may be."""

import copy
import sys
from collections.abc import Iterable, Mapping
from dataclasses import field, fields
from typing import Any

import numpy as np

from rl.schedules import rate_from_json, rate_to_json, value_at

WIDTHS = (tuple[int, ...], tuple[int, ...] | None)
PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the training, at which a schedule's numbers are checked beforehand


def setting(default: Any, doc: str, low: float | None = None, high: float = np.inf, choices: tuple[str, ...] = ()) -> Any:
    """A field of a Config: its default, its meaning, and its valid range [low, high] or choices.

    An int default wants integers, a float default takes any finite number; None, as a default, also
    stands for "off".
    """
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices, "rate": False})


def rate(default: float | None, doc: str, low: float, high: float = np.inf) -> Any:
    """As `setting`, of a field that takes a schedule too: see rl/schedules.py."""
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": (), "rate": True})


def check_config(config: Any) -> None:
    """Make NumPy's numbers Python's own, and raise ValueError for a field outside its range or choices.

    The message names the field, what was expected and what was given.
    """
    for f in fields(config):
        value = getattr(config, f.name)
        if isinstance(value, np.generic):
            value = value.item()
        if f.type in WIDTHS and isinstance(value, list | tuple | np.ndarray):
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
    if f.metadata["rate"]:
        return _violated_rate(f, value)
    if f.type in WIDTHS:
        valid = isinstance(value, tuple) and all(type(n) is int and n >= 1 for n in value)
        return None if valid else "a tuple of positive integers"
    whole = f.type in (int, int | None)
    right = type(value) is int if whole else _is_finite(value)
    return None if right and low <= value <= high else _expected("an integer" if whole else "a number", low, high)


def _is_finite(value) -> bool:
    """Whether it is a number, of Python's, that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _expected(kind, low, high) -> str:
    if high < np.inf:
        return f"{kind} in [{low}, {high}]"
    return f"{kind} >= {low}" if kind == "an integer" else f"a finite number >= {low}"


def _violated_rate(f, value) -> str | None:
    low, high = f.metadata["low"], f.metadata["high"]
    expected = f"{_expected('a number', low, high)}, or a schedule of such (rl/schedules.py)"
    if not callable(value):
        return None if _is_finite(value) and low <= value <= high else expected
    if isinstance(value, type):
        return f"{expected}; this is a class, so make one: {value.__name__}(…)"
    for progress in PLACES:
        try:
            number = value_at(value, progress)
        except Exception as error:  # whatever a function of somebody's raises
            return f"{expected}; at progress {progress:g} it raises {type(error).__name__}: {error}"
        if not low <= number <= high:
            return f"{expected}; at progress {progress:g} it is {number}"
    return None


def scheduled(config: Any) -> tuple[str, ...]:
    """The names of the fields that hold a schedule."""
    return tuple(f.name for f in fields(config) if f.metadata["rate"] and callable(getattr(config, f.name)))


def rates_at(config: Any, names: Iterable[str], progress: float) -> dict[str, float]:
    """The numbers of scheduled fields at `progress` in [0, 1] of the training.

    Raises
    ------
    ValueError
        If one is outside its field's range, or no finite number.
    """
    rates, known = {}, {f.name: f.metadata for f in fields(config)}
    for name in names:
        rates[name] = number = value_at(getattr(config, name), progress)
        low, high = known[name]["low"], known[name]["high"]
        if not low <= number <= high:
            where = f"at progress {progress:g}"
            raise ValueError(f"expected {type(config).__name__}.{name} in [{low}, {high}], given {number} {where}")
    return rates


def with_rates(config: Any, rates: Mapping[str, float]) -> Any:
    """A copy of a config with these numbers in the place of schedules."""
    now = copy.copy(config)
    for name, number in rates.items():
        object.__setattr__(now, name, number)  # the dataclass is frozen, and not yet anybody's
    return now


def settings_to_json(config: Any) -> dict[str, Any]:
    """A config as JSON holds it."""
    return {f.name: rate_to_json(getattr(config, f.name)) for f in fields(config)}


def settings_from_json(cls: Any, content: Mapping[str, Any], replaced: Mapping[str, Any] | None = None) -> Any:
    """The config of class `cls` that `settings_to_json` wrote, with some fields `replaced`.

    Raises
    ------
    ValueError
        If a field is missing, unknown or out of its range, or was a function, which no file can
        hold.
    """
    known = {f.name for f in fields(cls)}
    if content.keys() != known:
        unknown, missing = sorted(map(str, content.keys() - known)), sorted(known - content.keys())
        raise ValueError(f"expected the settings of {cls.__name__}, given unknown ones {unknown} and none of {missing}")
    values = dict(replaced or {})
    for name, value in content.items():
        if name in values:
            continue
        try:
            values[name] = tuple(value) if isinstance(value, list) else rate_from_json(value)
        except ValueError as error:
            raise ValueError(f"expected {cls.__name__}.{name} to be known: {error}, as {name}=…") from None
    return cls(**values)


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
