"""Schedules: settings that move with training's progress p = steps/total_steps in [0, 1].

Wherever a Config takes a rate, it takes a number, one of these, or any function of p:

    Constant(value)
    Linear(start, end)                    in a straight line; with `share` over the first part only
    Cosine(start, end, warmup=0.05)       up to `start` in a straight line, then half a cosine
    Exponential(start, end)               by the same factor at every step
    Step(start, factor, at=(0.5, 0.75))   times `factor` at each of these places

The formulas are those of deepnp/optim/schedules.py. A schedule has no state, so a resumed training
cannot differ.

Examples
--------
>>> PPOConfig(lr=Cosine(3e-4, 0.0, warmup=0.05), clip=Linear(0.2, 0.05), entropy_coef=lambda p: 0.01 * (1 - p))
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from deepnp.optim import schedules as formulas

Rate = float | Callable[[float], float]


class Schedule(ABC):
    """A number as a function of progress, which files can hold.

    A subclass is a frozen dataclass of numbers.

    Raises
    ------
    ValueError
        When made with what is no finite number.
    """

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """The number at `progress` in [0, 1] of the training."""

    def __post_init__(self):
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            value = tuple(map(_number, value)) if isinstance(value, list | tuple | np.ndarray) else _number(value)
            if value is None or (isinstance(value, tuple) and None in value) or isinstance(value, tuple) != (f.name == "at"):
                expected = "places in [0, 1]" if f.name == "at" else "a finite number"
                raise ValueError(f"expected {type(self).__name__}'s {f.name} as {expected}, given {getattr(self, f.name)!r}")
            object.__setattr__(self, f.name, value)  # the dataclass is frozen, and not yet anybody's


@dataclass(frozen=True)
class Constant(Schedule):
    """`value` all the time: also where a plain number would be annealed."""

    value: float

    def __call__(self, progress: float) -> float:
        return self.value


@dataclass(frozen=True)
class Linear(Schedule):
    """From `start` to `end` in a straight line over the first `share` of the training, in (0, 1]; then it stays there."""

    start: float
    end: float
    share: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise ValueError(f"expected Linear's share of the training in (0, 1], given {self.share}")

    def __call__(self, progress: float) -> float:
        return formulas.linear(self.start, self.end, progress / self.share)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 0 up to `start` over the share `warmup` of the training, in [0, 1); then to `end` along half a cosine."""

    start: float
    end: float
    warmup: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        self(0.0)  # which looks at warmup

    def __call__(self, progress: float) -> float:
        return formulas.cosine(self.start, self.end, progress, self.warmup)


@dataclass(frozen=True)
class Exponential(Schedule):
    """From `start` to `end`, both above 0, by the same factor over every equal stretch of the training."""

    start: float
    end: float

    def __post_init__(self):
        super().__post_init__()
        self(0.0)  # which looks at the signs

    def __call__(self, progress: float) -> float:
        return formulas.exponential(self.start, self.end, progress)


@dataclass(frozen=True)
class Step(Schedule):
    """`start`, times `factor` at each place of `at` in [0, 1] that progress has reached."""

    start: float
    factor: float
    at: tuple[float, ...]

    def __post_init__(self):
        super().__post_init__()
        if not all(0 <= place <= 1 for place in self.at):
            raise ValueError(f"expected Step's at as places in [0, 1], given {self.at}")

    def __call__(self, progress: float) -> float:
        return formulas.step(self.start, self.factor, self.at, progress)


KINDS: Mapping[str, type[Schedule]] = MappingProxyType(
    {kind.__name__.lower(): kind for kind in (Constant, Linear, Cosine, Exponential, Step)}
)
FORMS = "a number, constant:VALUE, linear:START:END, cosine:START:END:WARMUP, exponential:START:END or step:START:FACTOR:AT,AT"


def schedule_of(text: str) -> Rate:
    """A rate from text, as on a command line: "3e-4", "linear:3e-4:0", "step:3e-4:0.1:0.5,0.75".

    Raises
    ------
    ValueError
        For any other text; the message names the forms.
    """
    name, *numbers = str(text).strip().split(":")
    try:
        if not numbers:
            return float(name)
        kind = KINDS[name.lower()]
        pairs = zip(fields(kind), numbers, strict=False)  # type: ignore[arg-type]
        values = {f.name: tuple(map(float, n.split(","))) if f.name == "at" else float(n) for f, n in pairs}
        if len(values) < len(numbers):
            raise ValueError(f"{kind.__name__} takes {len(values)} numbers")
        return kind(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"expected a rate as {FORMS}, given {text!r} ({error})") from None


def text_of(rate: Rate) -> str:
    """The text that `schedule_of` reads; of a function, its name."""
    if isinstance(rate, Schedule):
        values = asdict(rate).values()  # type: ignore[call-overload]
        numbers = (",".join(map(repr, v)) if isinstance(v, tuple) else repr(v) for v in values)
        return ":".join([type(rate).__name__.lower(), *numbers])
    return name_of(rate) if callable(rate) else repr(rate)


def annealed(rate: Rate, end: float, progress: float) -> float:
    """A plain number on its way to `end` in a straight line; a schedule goes its own way."""
    return value_at(rate, progress) if callable(rate) else formulas.linear(rate, end, progress)


def rate_to_json(rate: Any) -> Any:
    """A rate as JSON holds it: {"linear": {"start": …, "end": …}}, and {"function": name} for a function."""
    if isinstance(rate, Schedule):
        return {type(rate).__name__.lower(): asdict(rate)}  # type: ignore[call-overload]
    return {"function": name_of(rate)} if callable(rate) else rate


def rate_from_json(content: Any) -> Any:
    """What `rate_to_json` made.

    Raises
    ------
    ValueError
        For a function, which no file can hold, and for what is no schedule.
    """
    if not isinstance(content, dict):
        return content
    if list(content) == ["function"]:
        raise ValueError(f"it was the function {content['function']}, which no file can hold: give it again")
    try:
        ((name, values),) = content.items()
        return KINDS[name](**values)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"expected a schedule, one of {list(KINDS)}, given {content!r:.80} ({error})") from None


def name_of(function: Callable) -> str:
    """What a function is called, with its module."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def value_at(rate: Callable[[float], float], progress: float) -> float:
    """A schedule's or a function's number at `progress`.

    Raises
    ------
    ValueError
        If it gives anything but a finite number.
    """
    value = rate(progress)
    number = _number(value)
    if number is None:
        raise ValueError(f"expected a finite number of {rate!r:.80} at progress {progress:g}, given {value!r:.80}")
    return number


def _number(value: Any) -> float | None:
    """A finite number as Python's own; None for anything else."""
    value = value.item() if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1) else value
    right = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return value if right else None
