"""Which line of forward a line of backward belongs to, told from names."""

import ast
import re

import pytest

from deepnp.ops import find
from docs.site.flow import flow_of, ties
from docs.site.subjects import of_operation
from docs.site.ties import side_by_side

OPERATIONS = {name: of_operation(op) for name, op in find().items()}
WITHOUT = {"embedding.sinusoidal", "convolution.border_pad"}  # dx is dy; dx is changed in place under another name


def tied(name: str) -> dict[str, tuple[list[str], list[str]]]:
    """Each tied line of backward -> the lines that it differentiates, and those whose results it uses."""
    lines = [line.strip() for line in OPERATIONS[name].text.splitlines()]
    return {
        lines[tie.lines.start - 1]: ([lines[n - 1] for n in tie.differentiates], [lines[n - 1] for n in tie.uses])
        for tie in ties(OPERATIONS[name])
    }


def test_a_gradient_goes_with_the_lines_that_read_what_it_is_the_gradient_of():
    found = tied("attention.block_scaled_dot_product")
    (of_v,) = [differentiates for line, (differentiates, _) in found.items() if line.startswith("dv[")]
    assert of_v == ["y[..., rows, :] = correction * y[..., rows, :] + xp.matmul(e, v[..., keys, :])"]
    (of_scores,) = [differentiates for line, (differentiates, _) in found.items() if line.startswith("dscores")]
    assert of_scores == ["e, correction = xp.exp(scores - shift), xp.exp(before - shift)"]


def test_a_gradient_goes_through_values_that_have_none_of_their_own():
    assert tied("activation.softmax") == {
        "return y * (dy - (dy * y).sum(axis=-1, keepdims=True)) / temperature": (
            ["e = xp.exp((x - x.max(axis=-1, keepdims=True)) / temperature)", "y = e / e.sum(axis=-1, keepdims=True)"],
            [],
        )
    }


def test_what_is_kept_is_used():
    (line,) = [line for line in tied("normalization.layer_norm") if line.startswith("normal, dnormal")]
    assert "mean = x.mean(axis=-1, keepdims=True)" in tied("normalization.layer_norm")[line][1]


def test_shapes_checks_and_copies_are_no_ties():
    every = {line for name in OPERATIONS for line in tied(name)}
    assert not [line for line in every if line.startswith(("check_", "xp = ", "x, mean, sigma"))]


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - WITHOUT))
def test_every_operation_has_ties_and_each_leads_to_a_line_of_forward(name):
    forward = next(n for n in ast.parse(OPERATIONS[name].text).body if isinstance(n, ast.FunctionDef) and n.name == "forward")
    found = ties(OPERATIONS[name])
    assert any(tie.differentiates for tie in found)
    assert all(forward.lineno < n <= forward.end_lineno for tie in found for n in (*tie.differentiates, *tie.uses))


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_links_lead_to_lines_that_are_there(name):
    page = side_by_side(OPERATIONS[name])
    targets = {part.split('"')[0] for part in page.split('href="#')[1:]}
    assert all(f'id="{target}"' in page for target in targets)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_line_that_is_shown_chooses_a_fast_form(name):
    shown = re.sub(r"<[^>]+>", "", side_by_side(OPERATIONS[name]))
    assert not re.search(r"fastest|_gpu|\bgpu\.|_fast\(|_runs?\(|\bpays\(|together|accelerated", shown)


def test_the_helpers_of_forward_stand_below_it():
    forward, backward = re.sub(r"<[^>]+>", "", side_by_side(OPERATIONS["recurrent.lstm"])).split("def backward(")
    assert "\n \n \ndef step_plain(" in forward  # two blank lines, each an element
    assert "def step_backward_plain(" in backward
    assert "step_plain(gates[t]" in forward


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_the_cache_holds_named_things(name):
    made = flow_of(OPERATIONS[name]).fields
    assert set(made) <= set(getattr(OPERATIONS[name].module, "Cache", type("", (), {"_fields": ()}))._fields)
