"""Is what the reader wrote right?

Every case is drawn several times, in float64. A result must equal the library's to 1e-11, which a
formula reaches in whatever order it adds, and a numerical derivative or float32 does not. What is
wrong is also compared with central differences, by `deepnp.learn.diagnosis`.
"""

import math
import traceback
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from deepnp.backend import kernels_enabled, use_kernels
from deepnp.cases import tupled
from deepnp.gradcheck import SEED, relative_error
from deepnp.learn.cases_apart import apart
from deepnp.learn.diagnosis import Outcomes, explain
from deepnp.learn.exercise import Exercise, Trial
from deepnp.learn.watch import Watch, called_by_forward

EXACT = 1e-11
DRAWS = 2


@dataclass
class Report:
    """What a check found.

    Attributes
    ----------
    written : bool
        Whether there is anything to check: the stub raises NotImplementedError.
    faults : list of str
        What is wrong with the function as a whole. The check ends at the first.
    right : dict of str to list of two ints
        For each output, in how many of how many cases it was right.
    wrong : dict of str to str
        For each output that is not right, what is wrong with it.
    """

    written: bool = True
    faults: list[str] = field(default_factory=list)
    right: dict[str, list[int]] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.written and not self.faults and not self.wrong and bool(self.right)


def examine(exercise: Exercise, function: Callable, source: str = "", allowed: Container[CodeType] | None = None) -> Report:
    """Try a reader's function on every case.

    Parameters
    ----------
    exercise : Exercise
    function : callable
        With the arguments of the solution.
    source : str
        The file in which it stands, to say in which line an error came up.
    allowed : container of code objects or None
        What it may call of the library's own answers; None is what the forward pass itself calls.

    Returns
    -------
    Report
    """
    report, evidence = Report(), dict[str, list[Evidence]]()
    with _plain():
        allowed = called_by_forward(exercise) if allowed is None else allowed
        for number, case in enumerate(exercise.cases):
            if not _try_case(exercise, function, number, case, allowed, source, report, evidence):
                break
        report.wrong = {name: _explained(exercise, wrong, not report.faults) for name, wrong in evidence.items()}
    return report


class Evidence(NamedTuple):
    """A result that is wrong in one trial."""

    number: int  # of the case
    place: str
    trial: Trial
    output: int
    results: tuple[np.ndarray, ...]
    outcomes: Outcomes

    @property
    def given(self) -> np.ndarray:
        return self.results[self.output]

    @property
    def expected(self) -> np.ndarray:
        return self.trial.expected[self.output]


def _explained(exercise: Exercise, wrong: list[Evidence], all_tried: bool) -> str:
    """What is wrong with an output, in words, from the first trial in which it is."""
    first, *others = wrong
    elsewhere = [(one.given, one.expected, one.trial) for one in others]
    told_apart = apart(exercise, {one.number for one in wrong}) if all_tried else ""
    return f"{first.place}: {explain(first.trial, first.output, first.results, first.outcomes, elsewhere, told_apart)}"


@contextmanager
def _plain() -> Iterator[None]:
    """Plain forms, and no warnings: what is not finite is reported by itself."""
    before = kernels_enabled()
    use_kernels(False)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        use_kernels(before)


def _try_case(exercise, function, number, case, allowed, source, report, evidence) -> bool:
    """Add what one case shows to the report; whether to go on."""
    verdicts: dict[str, bool] = {}
    for draw in range(DRAWS):
        trial = exercise.trial(case, np.random.default_rng([SEED, number, draw]))
        place = f"case {number}, {_shapes(trial)}{_deeper(case, exercise.cases[0])}"
        try:
            results = _results(exercise, function, trial, allowed)
        except NotImplementedError:
            report.written = False
            return False
        except Fault as fault:
            report.faults.append(f"{fault} ({place})")
            return False
        except Exception as error:
            report.faults.append(f"{_where(error, source)} ({place})")
            return False
        outcomes = Outcomes(exercise, trial)
        for i, (name, given) in enumerate(zip(trial.outputs, results)):
            right = relative_error(given, trial.expected[i]) <= EXACT
            verdicts[name] = verdicts.get(name, True) and right
            if not right:
                evidence.setdefault(name, []).append(Evidence(number, place, trial, i, results, outcomes))
    for name, right in verdicts.items():
        count = report.right.setdefault(name, [0, 0])
        count[0] += right
        count[1] += 1
    return True


class Fault(Exception):
    """Something that can be said without looking at the numbers."""


def _results(exercise: Exercise, function: Callable, trial: Trial, allowed: Container[CodeType]) -> tuple[np.ndarray, ...]:
    """What the function returns, if it has the form of an answer."""
    given = list(_arrays((trial.arguments, trial.settings)))
    copies = [x.copy() for x in given]
    watch, failed = Watch(exercise, allowed), None
    with watch:
        try:
            returned = trial.call(function)
        except Exception as error:
            failed = error
    if watch.complaint:
        raise Fault(watch.complaint)
    if failed is not None:
        raise failed
    if any(not np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(given, copies)):
        raise Fault("it writes to its arguments, which the caller still needs: make a copy, or a new array")
    return _checked(returned, trial)


def _arrays(values: Any) -> Iterator[np.ndarray]:
    """The arrays in arguments, caches and lists of them."""
    if isinstance(values, np.ndarray):
        yield values
    elif isinstance(values, dict):
        yield from _arrays(list(values.values()))
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _arrays(value)


def _checked(returned: Any, trial: Trial) -> tuple[np.ndarray, ...]:
    """The outputs, each an array of its shape and type; Fault otherwise."""
    names = ", ".join(trial.outputs)
    if returned is None:
        raise Fault("it returns None: is there a `return` on every way through it?")
    results = tupled(tuple(returned) if isinstance(returned, list) else returned)
    if len(results) != len(trial.outputs):
        raise Fault(f"expected {len(trial.outputs)} results ({names}), given {len(results)}")
    for name, given, expected in zip(trial.outputs, results, trial.expected):
        if not isinstance(given, np.ndarray | np.generic):
            raise Fault(f"expected {name} to be an array of shape {expected.shape}, given {type(given).__name__}")
        if given.shape != expected.shape:
            remedy = _remedy(np.asarray(given), expected) or _order(np.asarray(given), trial) or _crop(np.asarray(given), expected)
            raise Fault(f"expected {name} of shape {expected.shape}, given {given.shape}{remedy}")
        if given.dtype != expected.dtype:
            raise Fault(f"expected {name} in {expected.dtype}, the type of the arguments, given {given.dtype}")
    return tuple(np.asarray(given) for given in results)


def _remedy(given: np.ndarray, expected: np.ndarray) -> str:
    """What makes a result of a wrong shape right, where that is simple."""
    if given.dtype.kind != "f" or given.size == 0:
        return ""
    if given.T.shape == expected.shape and relative_error(given.T, expected) < EXACT:
        return ": transposed, it is right"
    extra = given.ndim - expected.ndim
    for first in range(max(extra, 0) + 1):
        axes = tuple(range(first, first + extra))
        if extra > 0:
            summed = given.sum(axis=axes)
            if summed.shape == expected.shape and relative_error(summed, expected) < EXACT:
                return f": summed over {'axis' if extra == 1 else 'axes'} {', '.join(map(str, axes))}, it is right"
    return ""


def _order(given: np.ndarray, trial: Trial) -> str:
    """Which output a result of a wrong shape is instead, where it is one."""
    for name, expected in zip(trial.outputs, trial.expected):
        if given.shape == expected.shape and given.dtype.kind == "f" and given.size and relative_error(given, expected) < EXACT:
            return f": these are the numbers of {name}, and results come in the order {', '.join(trial.outputs)}"
    return ""


def _crop(given: np.ndarray, expected: np.ndarray) -> str:
    """Which part of a result that is too large is right, as where padding was not taken off."""
    if given.ndim != expected.ndim or given.dtype.kind != "f" or not expected.size:
        return ""
    extra = [max(a - b, -1) for a, b in zip(given.shape, expected.shape)]
    if min(extra) < 0 or math.prod(n + 1 for n in extra) > 1000:
        return ""
    for first in product(*(range(n + 1) for n in extra)):
        if relative_error(given[tuple(slice(i, i + n) for i, n in zip(first, expected.shape))], expected) < EXACT:
            return f": without what stands around it, it is right; it begins at {first}"
    return ""


def _where(error: Exception, source: str) -> str:
    """An error of the reader's code: its kind, its words, its line."""
    text = f"it raises {type(error).__name__}: {error}"
    lines = [f for f in traceback.extract_tb(error.__traceback__) if source and Path(f.filename) == Path(source)]
    return f"{text}, in line {lines[-1].lineno}: `{lines[-1].line}`" if lines else text


def _shapes(trial: Trial) -> str:
    """The case's arguments in a few words."""
    return ", ".join(f"{name} {_in_words(value)}" for name, value in trial.drawn.items())


def _deeper(case: dict, first: dict) -> str:
    """Which argument has more axes than in the first case."""
    pairs = ((name, case[name], first.get(name)) for name in case)
    axes = [(name, len(a), len(b)) for name, a, b in pairs if isinstance(a, tuple) and isinstance(b, tuple) and len(a) > len(b)]
    return "".join(f"; {name} has {n} axes here, and {m} in case 0" for name, n, m in axes[:1])


def _in_words(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.shape)
    if isinstance(value, ModuleType) or callable(value):
        return value.__name__.rsplit(".", 1)[-1]
    return f"{value!r:.100}"
