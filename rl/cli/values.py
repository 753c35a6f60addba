"""Values on the command line: whole numbers as people write them, schedules, and key=value."""

import ast
import json
from collections.abc import Sequence
from typing import Any

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from rl.cli.usage import Usage
from rl.config import whole_number
from rl.schedules import Rate, schedule_of, text_of

REGISTRY = ConstructorRegistry()
LARGE = 10_000  # from here on, a number is easier to read in groups of three digits


@REGISTRY.primitive_rule
def _whole_numbers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
    """`1_000_000` and `1e6` where an int is wanted."""
    if info.type is not int:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda words: whole(words[0]),
        is_instance=lambda value: type(value) is int,
        str_from_instance=lambda value: [f"{value:_}" if value >= LARGE else str(value)],
    )


@REGISTRY.primitive_rule
def _rates(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`3e-4` and `linear:3e-4:0` where a rate is wanted."""
    optional = info.type == (Rate | None)
    if not optional and info.type != Rate:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{None}|RATE" if optional else "RATE",
        instance_from_str=lambda words: None if optional and words[0] == "None" else schedule_of(words[0]),
        is_instance=lambda value: isinstance(value, int | float) or callable(value) or (optional and value is None),
        str_from_instance=lambda value: ["None" if value is None else text_of(value)],
    )


def whole(text: str) -> int:
    """A whole number: 1000000, 1_000_000 or 1e6."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
        return int(whole_number("a number", abs(number), 0)) * (-1 if number < 0 else 1)
    except ValueError:
        raise ValueError(f"expected a whole number such as 1000000 or 1e6, given {text!r}") from None


def key_values(words: Sequence[str]) -> dict[str, Any]:
    """`["n=5", "healthy=false", "name=x"]` as {"n": 5, "healthy": False, "name": "x"}.

    A value is what JSON or Python reads there, else the text itself.

    Raises
    ------
    Usage
        For a word without "=", or a key that is given twice.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.isidentifier() or key in found:
            twice = " twice" if key in found else ""
            raise Usage(f"expected settings as key=value, given {word!r}{twice}")
        found[key] = _value(text)
    return found


def _value(text):
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            pass
    return text
