"""Exercises: what is right passes, and nothing else does."""

import math
import re

import numpy as np
import pytest

from deepnp import gradcheck, ops
from deepnp.cases import tupled
from deepnp.learn import OperationExercise, catalogue, examination, examine, exercises
from deepnp.learn.pages import divide
from deepnp.learn.stub import stub
from deepnp.learn.variants import variants

KNOWN = exercises()
EVERY = pytest.mark.parametrize("name", KNOWN)
# Variants that change no result: numbers of threads and of rows in a block, and branches that the smallest sizes do not reach.
IDLE = {"mlp": ("start", "len(", "widths", "`size`"), "convolution.conv": ("taps", "positions", "dy.size", "groups", "`dmatrix`")}


class Everything:
    """Allows any code: the library's own answer is what these tests examine."""

    def __contains__(self, _) -> bool:
        return True


def passes(name: str, function) -> bool:
    """Whether a function with the solution's results is marked right."""
    exercise = KNOWN[name]
    return examine(exercise, lambda *a, **k: exercise.answers(function(*a, **k)), allowed=Everything()).passed


def solution(name: str):
    return getattr(KNOWN[name].module, KNOWN[name].solution)


@pytest.fixture
def no_explanations(monkeypatch):
    monkeypatch.setattr(examination, "explain", lambda *_: "")


def test_every_operation_is_an_exercise_and_file_names_differ():
    listed = {name for name, e in KNOWN.items() if isinstance(e, OperationExercise)}
    assert set(ops.find()) <= listed
    assert len({e.short for e in KNOWN.values()}) == len(KNOWN)
    assert all(e.title and e.cases and e.chapter for e in KNOWN.values())


def test_the_order_is_that_of_the_derivations(request):
    page = (request.config.rootpath / "docs" / "derivations.md").read_text()
    own = [name for rows in catalogue.CHAPTERS.values() for row in rows for name in row]
    places = [page.index(f"ops/{name.replace('.', '/')}.py") for name in own]
    assert places == sorted(places)


@EVERY
def test_the_right_answer_passes_and_is_the_derivative(name):
    exercise = KNOWN[name]
    assert passes(name, solution(name))
    for number, case in enumerate(exercise.cases):
        trial = exercise.trial(case, np.random.default_rng(number))
        for i, output in enumerate(trial.outputs if trial.value else ()):
            x = trial.drawn[output.removeprefix("d")]
            numerical = gradcheck.numerical_gradient(lambda moved, i=i, trial=trial: trial.value(i, moved), x)
            assert gradcheck.relative_error(trial.expected[i], numerical) < gradcheck.TOLERANCE, output


@EVERY
def test_the_librarys_own_answer_is_none_of_the_readers(name):
    exercise = KNOWN[name]
    report = examine(exercise, lambda *a, **k: exercise.answers(solution(name)(*a, **k)))
    assert not report.passed
    assert "of the library" in report.faults[0]


@pytest.mark.parametrize("name", [name for name, e in KNOWN.items() if not name.startswith(("losses.", "rl.")) or name == "rl.gae"])
def test_no_term_may_be_missing_and_no_sign_wrong(name, no_explanations):
    exercise = KNOWN[name]
    for variant in variants(exercise.module, exercise.solution):
        if not any(word in variant.text for word in IDLE.get(name, ())):
            assert not passes(name, variant.function), variant.text


WRONG = {
    "sign": lambda g: -g,
    "twice": lambda g: 2 * g,
    "zero": lambda g: 0 * g,
    "float32": lambda g: g.astype(np.float32).astype(g.dtype),
    "row": lambda g: np.concatenate([0 * g[:1], g[1:]]) if g.size else g,
    "nan": lambda g: g * math.nan,
    "another type": lambda g: g.astype(np.float32),
    "another shape": lambda g: g[None],
}


@EVERY
def test_wrong_numbers_types_and_shapes_fail(name, no_explanations):
    def of(change):
        def function(*arguments, **settings):
            *others, last = KNOWN[name].answers(solution(name)(*arguments, **settings))
            return (*others, change(last))

        return function

    for kind, change in WRONG.items():
        assert not examine(KNOWN[name], of(change), allowed=Everything()).passed, kind


@EVERY
def test_a_stub_is_whole_and_its_forward_is_the_librarys(name):
    exercise, names = KNOWN[name], {"__name__": "stub"}
    text = stub(exercise)
    exec(compile(text, name, "exec"), names)
    assert not examine(exercise, names[exercise.asked]).written
    assert not re.search(
        r"\b_?gpu|_gpu|(kernels?|rows)_runs?\b|_fast\b|fastest|\bscan\b|float32 kernel", text
    )  # it is about the mathematics
    if isinstance(exercise, OperationExercise):
        assert text.count("\n") == text.rstrip().count("\n") + 1
        trial = exercise.trial(exercise.cases[0], np.random.default_rng(0))
        for a, b in zip(*(tupled(forward(**trial.drawn)[0]) for forward in (names["forward"], exercise.module.forward))):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        assert not any(step in text for step in divide(exercise.text).steps)
        assert divide(exercise.text).steps
