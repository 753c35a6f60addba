"""Pictures of operations: what they show is computed, and is what the mathematics says."""

import numpy as np
import pytest

import deepnp
from deepnp.ops import find
from docs.site import fields, graph
from docs.site.subjects import of_operation

OPERATIONS = find()


@pytest.fixture(autouse=True)
def plain():
    deepnp.use_kernels(False)
    yield
    deepnp.use_kernels(True)


def flows(name: str) -> tuple[set[str], set[str]]:
    subject = of_operation(OPERATIONS[name])
    arguments, kept, gradients = map(list, graph.nodes(name, subject))
    into, out = graph.edges(name, subject, *graph.nodes(name, subject)[:2])
    return {f"{arguments[i]} {kept[j]}" for i, j in into}, {f"{kept[i]} {gradients[j]}" for i, j in out}


def test_a_product_keeps_each_factor_for_the_gradient_of_the_other():
    assert flows("linear") == ({"x x", "weight weight"}, {"x weight", "weight x"})


def test_a_shift_keeps_nothing_and_a_scale_needs_what_it_scales():
    into, out = flows("normalization.layer_norm")
    assert not [flow for flow in into if flow.startswith("beta")]
    assert "gamma x" in out
    assert "gamma gamma" not in out
    assert not [flow for flow in out if flow.endswith("beta")]


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_graph_can_be_drawn_of_every_operation(name):
    subject = of_operation(OPERATIONS[name])
    drawn = graph.figure(name, subject)
    boxes = sum(map(len, graph.nodes(name, subject)))
    assert drawn.count("<rect") == (boxes if drawn else 0)


@pytest.mark.parametrize(("layers", "width"), [("3 × 3", 3), ("dilation 2", 5), ("two layers", 5), ("stride 2, then 3 × 3", 7)])
def test_receptive_fields_are_as_wide_as_arithmetic_says(layers, width):
    field = fields.receptive_field(OPERATIONS["convolution.conv"], fields.CONVOLUTIONS[layers])
    rows = np.flatnonzero(field.any(axis=1))
    assert rows[-1] - rows[0] + 1 == width
    if layers == "dilation 2":
        assert field.sum() == 9  # with holes


def test_attention_patterns_sum_to_one_and_keep_to_their_masks():
    patterns = fields.attention_patterns()
    for weights in patterns.values():
        np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert not np.triu(patterns["causal"], 1).any()
    assert not patterns["two keys of padding"][:, 6:].any()


def test_pooling_hands_out_what_it_gets():
    for name in ("convolution.max_pool", "convolution.avg_pool"):
        for settings in fields.POOLS.values():
            gradient = fields.of_all(OPERATIONS[name], np.random.default_rng(0).normal(size=(1, 1, 9, 9)), **settings)
            y = OPERATIONS[name].forward(np.zeros((1, 1, 9, 9)), **settings)[0]
            assert gradient.sum() == pytest.approx(y.size)
