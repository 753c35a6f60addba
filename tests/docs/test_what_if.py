"""The what-if tables: each change of a backward pass is seen by the gradient check, or says why not."""

import types

import numpy as np
import pytest

import deepnp
from deepnp.gradcheck import TOLERANCE
from deepnp.ops import find
from docs.site.operations import why_not
from docs.site.what_if import what_if
from docs.site.worked import work

OPERATIONS = find()


@pytest.fixture(autouse=True)
def plain():
    deepnp.use_kernels(False)
    yield
    deepnp.use_kernels(True)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_each_change_is_seen_or_explained(name):
    checked = what_if(OPERATIONS[name])
    assert checked.changes
    assert max(checked.right.values()) < TOLERANCE
    assert any(checked.separated(change) for change in checked.changes)
    unexplained = [c for c in checked.changes if not checked.separated(c) and not why_not(c, checked.right)]
    assert not unexplained


def test_the_terms_of_layer_normalisation_are_among_them():
    checked = what_if(OPERATIONS["normalization.layer_norm"])
    after = {change.after: change for change in checked.changes}
    without_variance = after["dnormal - dnormal.mean(axis=-1, keepdims=True)"]
    assert without_variance.errors["x"] > 0.1
    assert without_variance.errors["gamma"] < TOLERANCE


def test_what_no_case_comes_to_is_said(tmp_path, monkeypatch):
    source = """
def forward(x):
    return 2 * x, x

def backward(dy, cache):
    if len(cache) > 100:
        return 3 * dy
    return 2 * dy

CASES = [dict(x=(3,))]
"""
    path = tmp_path / "doubled.py"
    path.write_text(source)
    op = types.ModuleType("doubled")
    op.__file__ = str(path)
    exec(compile(source, str(path), "exec"), vars(op))
    monkeypatch.setattr("inspect.getsource", lambda _: source)
    changes = {(c.before, c.after): c for c in what_if(op).changes}
    assert not changes["3 * dy", "dy"].reached
    assert changes["2 * dy", "dy"].reached
    assert changes["2 * dy", "dy"].error == pytest.approx(0.5)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_the_worked_example_is_right_and_small(name):
    worked = work(name, OPERATIONS[name])
    assert all(a.error < TOLERANCE for a in worked.arguments)
    assert sum(a.value.size for a in worked.arguments) <= 60
    assert any(np.any(a.gradient) for a in worked.arguments)
