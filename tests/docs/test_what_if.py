"""The what-if tables: each change of a backward pass is seen by the gradient check, or says why not."""

import types

import numpy as np
import pytest

import deepnp
from deepnp.gradcheck import TOLERANCE
from deepnp.ops import find
from docs.site import losses
from docs.site.parts import what_if_section, why_not
from docs.site.subjects import of_loss, of_operation
from docs.site.what_if import what_if
from docs.site.worked import work

SUBJECTS = {name: of_operation(op) for name, op in find().items()}
SUBJECTS |= {name: of_loss(*entry) for name, entry in losses.find().items()}


@pytest.fixture(autouse=True)
def plain():
    deepnp.use_kernels(False)
    yield
    deepnp.use_kernels(True)


@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_each_change_is_seen_or_explained(name):
    checked = what_if(SUBJECTS[name])
    assert checked.changes
    assert max(checked.right.values()) < TOLERANCE
    assert any(checked.separated(change) for change in checked.changes)
    unexplained = [c for c in checked.changes if not checked.separated(c) and not why_not(c, checked.right)]
    assert not unexplained


def test_the_terms_of_layer_normalisation_are_among_them():
    checked = what_if(SUBJECTS["normalization.layer_norm"])
    after = {change.after: change for change in checked.changes}
    without_variance = after["dnormal - dnormal.mean(axis=-1, keepdims=True)"]
    assert without_variance.errors["x"] > 0.1
    assert without_variance.errors["gamma"] < TOLERANCE


def test_a_loss_is_changed_where_its_gradient_comes_from():
    changes = {(c.before, c.after) for c in what_if(SUBJECTS["mse"]).changes}
    assert ("2 * share", "share") in changes
    assert not [before for before, _ in changes if "sum()" in before]  # of the value alone


def test_fast_forms_are_no_part_of_the_plain_one():
    assert "_mse" not in losses.code(SUBJECTS["mse"])
    assert "target.astype" in losses.code(SUBJECTS["mse"])


@pytest.fixture
def operation(tmp_path, monkeypatch):
    """Makes an operation of its source."""

    def made(source):
        path = tmp_path / "doubled.py"
        path.write_text(source)
        op = types.ModuleType("doubled")
        op.__file__ = str(path)
        exec(compile(source, str(path), "exec"), vars(op))
        monkeypatch.setattr("inspect.getsource", lambda _: source)
        return of_operation(op)

    return made


def test_what_no_case_comes_to_is_said(operation):
    subject = operation("""
def forward(x):
    return 2 * x, x

def backward(dy, cache):
    if len(cache) > 100:
        return 3 * dy
    return 2 * dy

CASES = [dict(x=(3,))]
""")
    changes = {(c.before, c.after): c for c in what_if(subject).changes}
    assert not changes["3 * dy", "dy"].reached
    assert changes["2 * dy", "dy"].reached
    assert changes["2 * dy", "dy"].error == pytest.approx(0.5)


def test_what_was_left_out_is_said_with_its_reason(operation):
    checked = what_if(
        operation("""
def forward(x):
    return x.sum(axis=1, keepdims=True) * x, x

def backward(dy, cache):
    x = cache
    return (dy * x).sum(axis=1, keepdims=True) + dy * x.sum(axis=1, keepdims=True)

CASES = [dict(x=(3, 2))]
""")
    )
    left_out = {c.after: c.why for c in checked.left_out}
    assert left_out["(dy * x).sum(axis=1, keepdims=True)"] == "dx has another shape"
    assert "dx has another shape" in what_if_section(checked)


def test_a_gradient_that_is_not_finite_is_seen(operation):
    checked = what_if(
        operation("""
def forward(x):
    return 0 * x, x

def backward(dy, cache):
    return dy * cache * (1 / (1e300 + 0 * dy)) / 1e300

CASES = [dict(x=(3,))]
""")
    )
    infinite = {c.after: c for c in checked.changes}["0 * dy"]
    assert checked.separated(infinite)
    assert "dx is not finite" in what_if_section(checked)


@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_the_worked_example_is_right_and_small(name):
    worked = work(name, SUBJECTS[name])
    assert all(a.error < TOLERANCE for a in worked.arguments)
    assert sum(a.value.size for a in worked.arguments) <= 60
    assert any(np.any(a.gradient) for a in worked.arguments)
