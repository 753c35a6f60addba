"""What tells the cases in which a result is wrong from those in which it is right: "it is right wherever stride is 1"."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from deepnp.cases import is_shape
from deepnp.learn.exercise import Exercise, OperationExercise

MOST = 2  # settings that are named; more tell nothing apart


def apart(exercise: Exercise, wrong: Collection[int]) -> str:
    """The settings that all right cases share and no wrong case has, as the end of a sentence; empty where there is none.

    Parameters
    ----------
    exercise : Exercise
    wrong : collection of int
        Numbers of the cases in which a result is wrong; in all others it is right.
    """
    every = [_settings(exercise, case) for case in exercise.cases]
    right = [i for i in range(len(every)) if i not in wrong]
    if not right:
        return ""
    first = every[right[0]]
    found = [f"{name} is {value}" for name, value in first.items() if _tells(name, every, right, wrong)]
    return f"; it is right wherever {' and '.join(found)}, and nowhere else" if 0 < len(found) <= MOST else ""


def _tells(name: str, every: Sequence[Mapping[str, Any]], right: Collection[int], wrong: Collection[int]) -> bool:
    values = {every[i].get(name) for i in right}
    return len(values) == 1 and not values & {every[i].get(name) for i in wrong}


def _settings(exercise: Exercise, case: dict) -> dict[str, str]:
    """What of a case is no array, and a default where it is not given: names and values as texts."""
    function = getattr(exercise.module, "forward" if isinstance(exercise, OperationExercise) else exercise.solution)
    known = {name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty}
    found: dict[str, str] = {}
    for name, value in {**known, **case}.items():
        if is_shape(value) or hasattr(value, "shape"):  # an array, or what one is drawn from
            found[name] = "an array"
        elif value is None or isinstance(value, bool | int | float):
            found[name] = _text(value)
        elif is_dataclass(value) and not isinstance(value, type):
            found |= {field.name: _text(getattr(value, field.name)) for field in fields(value)}
    return found


def _text(value: Any) -> str:
    """A number; that of all axes where they agree."""
    values = set(value) if isinstance(value, tuple) else {value}
    return str(values.pop()) if len(values) == 1 else str(value)
