"""In what way is a result wrong?

The simplest account that fits the numbers to 1e-9 is given: zero, another output's numbers, a
factor, one change of the right formula, two of its terms counted wrongly, or wrong in only some
places. Otherwise the largest error is shown beside the central difference.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, combinations

import numpy as np

from deepnp.gradcheck import STEP, TOLERANCE, relative_error
from deepnp.learn.exercise import Exercise, Trial
from deepnp.learn.mistakes import mistakes
from deepnp.learn.variants import Variant, variants

FITS = 1e-9
NEAR = 1e-5  # what is this near is no other formula


class Outcomes:
    """What every wrong answer returns in one trial. It is found out when it is first asked for."""

    def __init__(self, exercise: Exercise, trial: Trial):
        self.exercise, self.trial = exercise, trial

    @cached_property
    def found(self) -> list[tuple[Variant, tuple[np.ndarray, ...]]]:
        """Those that are arrays like the right ones."""
        known = chain(mistakes(self.exercise), variants(self.exercise.module, self.exercise.solution))
        candidates = ((v, self._of(v)) for v in known)
        return [(variant, results) for variant, results in candidates if results is not None]

    def _of(self, variant: Variant) -> tuple[np.ndarray, ...] | None:
        try:
            results = self.exercise.answers(self.trial.call(variant.function))
        except Exception:  # a term may be needed for its shape
            return None
        shapes = [getattr(x, "shape", None) for x in results]
        return results if shapes == [x.shape for x in self.trial.expected] else None


Others = Sequence[tuple[np.ndarray, np.ndarray, Trial]]


def explain(
    trial: Trial, index: int, results: tuple[np.ndarray, ...], outcomes: Outcomes, others: Others = (), apart: str = ""
) -> str:
    """What is wrong with one output, in words.

    Parameters
    ----------
    trial : Trial
        What was tried.
    index : int
        Which output.
    results : tuple of arrays
        All that the reader's function returned; this output is wrong.
    outcomes : Outcomes
        Of the wrong answers that are known.
    others : sequence of (given, expected, Trial)
        Where else this output was wrong: a factor has one account that fits all of them.
    apart : str
        What tells the cases in which it is wrong from the others.
    """
    given, expected, name = results[index], trial.expected[index], trial.outputs[index]
    if not np.isfinite(given).all():
        bad = np.argwhere(~np.isfinite(given))
        return f"{name} is not finite in {len(bad)} of {given.size} places, first at {_place(bad[0])}"
    error = relative_error(given, expected)
    if error < NEAR:
        cause = "float32 on the way" if error > 1e-9 else "a numerical derivative"
        return f"{name} is near, but not exact: it is off by {error:.0e}, and a formula by less than 1e-12. Is it {cause}?"
    account = (
        _simple(given, trial, index, others)
        or _changed(trial, index, given, outcomes)
        or _only_somewhere(given, expected, trial)
        or f"it is off by {error:.1e} of its largest number, and right in {_right(given, expected)} places{apart}"
    )
    return f"{name}: {account}. {_worst(given, trial, index)}"


def _simple(given: np.ndarray, trial: Trial, index: int, others: Others) -> str:
    """Zero, another output's numbers, or a factor."""
    expected = trial.expected[index]
    if not given.any():
        return "it is zero everywhere"
    for other, right in zip(trial.outputs, trial.expected):
        if right is not expected and right.shape == given.shape and relative_error(given, right) < FITS:
            return f"these are the numbers of {other}: results come in the order {', '.join(trial.outputs)}"
    factor = _ratio(given, expected)
    return _factor(factor, trial, others) if factor else ""


def _ratio(given: np.ndarray, expected: np.ndarray) -> float:
    """The number that a result is too large by everywhere; 0 where there is none."""
    factor = float((given * expected).sum() / (expected * expected).sum()) if expected.any() else 0.0
    return factor if factor and relative_error(given, factor * expected) < FITS * max(abs(factor), 1) else 0.0


def _factor(factor: float, trial: Trial, others: Others) -> str:
    if abs(factor + 1) < FITS:
        return "its sign is wrong everywhere"
    accounts = dict(_accounts(factor, trial))
    for given, expected, other in others:
        ratio = _ratio(given, expected)
        if ratio and abs(abs(ratio) - 1) > FITS:  # by chance, a size may be 1
            fitting = dict(_accounts(ratio, other))
            accounts = {what: text for what, text in accounts.items() if what in fitting}
    sign = "its sign is wrong, and " if factor < 0 else ""
    return sign + next(iter(accounts.values()), f"it is the right result times {abs(factor):.6g}")


def _accounts(factor: float, trial: Trial) -> Iterator[tuple[str, str]]:
    """What a factor may be, in words without numbers, and with them: a size or its root, a setting or its square."""
    sizes = {f"the length of axis {i} of {name}": n for name, x in _shaped(trial) for i, n in enumerate(x.shape)}
    sizes |= {f"the number of elements of {name}": x.size for name, x in _shaped(trial)}
    sizes |= {f"the number of rows of {name}": math.prod(x.shape[:-1]) for name, x in _shaped(trial) if x.ndim > 1}
    settings = {name: abs(x) for name, x in trial.drawn.items() if isinstance(x, float) and x}
    for power, before in ((1.0, ""), (2.0, "the square of ")):
        for what, n in settings.items():
            for sign, way in ((power, "times"), (-power, "divided by")):
                if _equal(abs(factor), n**sign):
                    yield f"{way} {before}{what}", f"it is the right result {way} {before}{what}, which is {n:g}"
    for power, before in ((1.0, ""), (0.5, "the root of ")):
        for what, n in sizes.items():
            for sign, way in ((power, "large"), (-power, "small")):
                if n > 1 and _equal(abs(factor), n**sign):
                    yield f"{way} {before}{what}", f"it is too {way} by the factor {n**power:.6g}, {before}{what}"


def _equal(a: float, b: float) -> bool:
    return abs(a - b) < FITS * max(b, 1)


def _shaped(trial: Trial) -> list[tuple[str, np.ndarray]]:
    return [(name, x) for name, x in trial.drawn.items() if isinstance(x, np.ndarray)]


def _changed(trial: Trial, index: int, given: np.ndarray, outcomes: Outcomes) -> str:
    """One change of the right formula, or one or two of its terms counted wrongly."""
    terms, expected = [], trial.expected[index]
    for variant, results in outcomes.found:
        if relative_error(given, results[index]) < FITS and relative_error(results[index], expected) > NEAR:
            place = " of the library's code" if variant.text.startswith(("without", "with the other")) else ""
            return f"it is what comes out {variant.text}{place}"
        if variant.term:
            terms.append((variant.text.removeprefix("without the term "), expected - results[index]))
    return _weighed(given - expected, terms)


def _weighed(gap: np.ndarray, terms: list[tuple[str, np.ndarray]]) -> str:
    """The error as one or two of the right formula's terms: how often each is counted too much."""
    terms = [(text, term) for text, term in terms if np.isfinite(term).all() and np.abs(term).max(initial=0) > NEAR]
    for count in (1, 2):
        for chosen in combinations(terms, count):
            columns = np.stack([term.ravel() for _, term in chosen], axis=1)
            weights, _, rank, _ = np.linalg.lstsq(columns, gap.ravel(), rcond=None)
            if rank == count and gap.size > 2 * count and relative_error(columns @ weights, gap.ravel()) < FITS:
                return "; ".join(_counted(text, w) for (text, _), w in zip(chosen, weights))
    return ""


def _counted(text: str, extra: float) -> str:
    times = 1 + extra
    if abs(times) < TOLERANCE:
        return f"it misses the term {text}"
    if abs(times + 1) < TOLERANCE:
        return f"the term {text} has the wrong sign"
    share = 1 / times
    number = f"1/{share:.0f}" if share > 1 + FITS and abs(share - round(share)) < TOLERANCE else f"{times:.4g}"
    return f"the term {text} is counted {number} times"


def _only_somewhere(given: np.ndarray, expected: np.ndarray, trial: Trial) -> str:
    """Wrong only on one side of zero of an argument of the same shape, or only where one of the two is zero."""
    wrong = np.abs(given - expected) > FITS * np.abs(expected).max()
    for name, x in _shaped(trial):
        if x.shape == wrong.shape and x.dtype.kind in "fb" and wrong.any() and not wrong.all():
            for side, text in ((x > 0, "> 0"), (x < 0, "< 0")):
                if not (wrong & ~side).any() and 2 * (wrong & side).sum() > side.sum():
                    return f"it is wrong only where {name} {text}"
    if wrong.any() and not expected[wrong].any():
        return f"it is right but for {int(wrong.sum())} places, where it should be zero"
    if wrong.any() and not given[wrong].any():
        return f"it is right but for {int(wrong.sum())} places, where it should not be zero"
    return ""


def _right(given: np.ndarray, expected: np.ndarray) -> str:
    close = np.abs(given - expected) <= FITS * np.abs(expected).max()
    return f"{int(close.sum())} of {close.size}"


def _worst(given: np.ndarray, trial: Trial, index: int) -> str:
    """The place of the largest error, with the central difference there."""
    place = np.unravel_index(np.abs(given - trial.expected[index]).argmax(), given.shape)
    name = trial.outputs[index]
    if trial.value is None:
        return f"At {_place(place)} it is {given[place]:.6g}, right is {trial.expected[index][place]:.6g}"
    x = np.array(trial.drawn[name.removeprefix("d")], np.float64)
    moved = []
    for step in (STEP, -STEP):
        y = x.copy()
        y[place] += step
        moved.append(trial.value(index, y))
    difference = (moved[0] - moved[1]) / (2 * STEP)
    return f"At {_place(place)} {name} is {given[place]:.6g}, and the central difference {difference:.6g}"


def _place(index) -> str:
    return "(" + ", ".join(str(int(i)) for i in index) + ")"
