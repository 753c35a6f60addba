"""What if a term of a backward pass were missing, or had the other sign? Every such change is made and checked.

The changed function runs on all CASES, beside the gradient check's central differences.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from deepnp.cases import differentiable, dot, draw, upstream
from deepnp.gradcheck import numerical_gradient, relative_error
from docs.site.changes import Changed, changes, places, replaced
from docs.site.subjects import Subject, names_of_gradients

SEPARATION = 1e3  # a wrong gradient's error is at least so many times the right one's
_ERRORS = (TypeError, ValueError, IndexError, AttributeError, NameError, ZeroDivisionError, ImportError, UnboundLocalError)


@dataclass(frozen=True)
class Change:
    """One change of a backward pass, and what the gradient check says of it."""

    kind: str  # "without a term", "the other sign", …
    before: str
    after: str
    errors: dict[str, float]  # argument -> the largest error of its gradient over all cases
    reached: bool = True  # whether any case runs this expression

    @property
    def error(self) -> float:
        return max(self.errors.values(), default=0.0)


@dataclass(frozen=True)
class LeftOut:
    """A change that says nothing of the mathematics, and why."""

    kind: str
    before: str
    after: str
    why: str


@dataclass(frozen=True)
class WhatIf:
    """All changes of one backward pass."""

    right: dict[str, float]  # argument -> the right gradient's error
    changes: list[Change]
    left_out: list[LeftOut] = field(default_factory=list)

    def separated(self, change: Change) -> bool:
        """Whether the gradient check tells this change from what is right."""
        return change.error >= SEPARATION * max(*self.right.values(), 1e-13)


class _Unfit(Exception):
    """A change that does not give gradients at all; its text says why."""


def what_if(subject: Subject, seed: int = 0) -> WhatIf:
    """Make every change of a backward pass, and check each one."""
    cases = [_Case(subject, case, [seed, i]) for i, case in enumerate(subject.cases) if filled(case)]
    right = _errors(cases, subject.compiled(subject.functions))
    found: dict[tuple[str, str], Change] = {}
    left_out: dict[tuple[str, str], LeftOut] = {}
    for c in changes(subject.functions, subject.entry, subject.sliced):
        key = (c.before, c.after)
        if key in left_out or (key in found and found[key].errors != right):
            continue  # the same expression, a second time
        try:
            errors = _errors(cases, subject.compiled(c.functions))
        except _Unfit as why:
            left_out[key] = LeftOut(c.kind, c.before, c.after, str(why))
            continue
        change = Change(c.kind, c.before, c.after, errors, errors != right or _reached(subject, cases, c))
        if key not in found or change.reached:
            found[key] = change
    return WhatIf(right, list(found.values()), list(left_out.values()))


def _reached(subject: Subject, cases: list["_Case"], change: Changed) -> bool:
    """Whether any case comes to the changed expression: it is put to the test with one that cannot be computed."""
    name, i = change.place
    undefined = ast.Name("_undefined", ast.Load())
    is_statement = isinstance(places(subject.functions[name])[i], ast.stmt)
    new = ast.fix_missing_locations(ast.Expr(undefined) if is_statement else undefined)
    broken = replaced(subject.functions, change.place, new)
    try:
        _errors(cases, subject.compiled(broken))
    except _Unfit:
        return True
    return False


class _Case:
    """One case with its upstream gradient and its central differences."""

    def __init__(self, subject: Subject, case: dict, seed: list[int]):
        rng = np.random.default_rng(seed)
        self.subject, self.case, self.arguments = subject, case, draw(case, rng)
        y = subject.value(**self.arguments)
        self.dy = upstream(y, rng) if subject.sliced is None else np.ones(())  # of a loss it is 1
        names = names_of_gradients(subject, case, self.arguments)
        self.expected = {name: numerical_gradient(self.projected(name), self.arguments[name]) for name in names}

    def projected(self, name: str) -> Callable:
        return lambda x: dot(self.dy, self.subject.value(**{**self.arguments, name: x}))


def filled(case: dict) -> bool:
    """Whether no differentiable argument of a case is empty."""
    shapes = [getattr(case[name], "shape", case[name]) for name in differentiable(case)]
    return all(0 not in shape for shape in shapes)


def _errors(cases: list[_Case], entry: Callable) -> dict[str, float]:
    """The largest error of each gradient, infinite where a number is not finite.

    Raises
    ------
    _Unfit
        Where the function does not run, or its gradients have other shapes.
    """
    errors: dict[str, float] = {}
    for case in cases:
        try:
            with np.errstate(all="ignore"):
                gradients = case.subject.gradients(entry, case.dy, case.arguments)
        except _ERRORS as error:
            raise _Unfit(f"does not run ({type(error).__name__})") from None
        if len(gradients) != len(case.expected):
            raise _Unfit("another number of gradients")
        for (name, expected), gradient in zip(case.expected.items(), gradients, strict=True):
            if getattr(gradient, "shape", None) != expected.shape:
                raise _Unfit(f"d{name} has another shape")
            errors[name] = max(errors.get(name, 0.0), relative_error(gradient, expected))
    return errors
