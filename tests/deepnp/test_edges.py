"""At their edges: bounds that are met exactly, barely, and barely not. Sampled mutants (benchmarks.mutants) survived without."""

import inspect
import math

import numpy as np
import pytest

from deepnp import Flatten, Module, Tanh, TransformerEncoderBlock, layers
from deepnp.losses import cross_entropy
from deepnp.optim import Muon, clip_grad_norm, clip_grad_value
from deepnp.parameters import Parameter, ParameterVector
from deepnp.tangents import pairs


@pytest.mark.parametrize("order", [2, 1, math.inf])
def test_gradient_is_shortened_from_its_bound_on_and_no_earlier(order, rng):
    g = rng.normal(size=7)
    g /= np.linalg.norm(g, order)
    for norm, shortened in ((0.999, False), (1.0, False), (1.001, True)):
        vector = ParameterVector({"a": Parameter(np.zeros(7))})
        vector.grad[...] = norm / 4 * g
        clip_grad_norm(vector, 0.25 * (1 + 1e-12), order)
        expected = min(norm, 1.0) / 4 if shortened else norm / 4
        np.testing.assert_allclose(vector.grad, expected * g, rtol=1e-5 if shortened else 0)


@pytest.mark.parametrize(
    "make", [lambda n: Flatten(n), lambda n: TransformerEncoderBlock(4, 2, n), lambda n: Muon(one_matrix(), iterations=n)]
)
def test_whole_numbers_are_whole_and_large_enough(make):
    make(2)
    for wrong in (1.5, -1, -2.5):
        with pytest.raises(ValueError, match="expected"):
            make(wrong)


def one_matrix() -> ParameterVector:
    return ParameterVector({"a": Parameter(np.ones((2, 3)))})


def test_the_first_whole_numbers_that_are_allowed():
    assert Flatten(0)(np.zeros((2, 3))).shape == (6,)
    with pytest.raises(ValueError, match="positive feedforward, given 0"):
        TransformerEncoderBlock(4, 2, 0)
    with pytest.raises(ValueError, match="positive integer, given 0"):
        Muon(one_matrix(), iterations=0)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_a_gradient_cannot_be_bound_to_nothing(clip):
    with pytest.raises(ValueError, match="given 0"):
        clip(one_matrix(), 0.0)


def test_labels_can_be_smoothed_entirely(rng):
    """At 1 every class is as likely as any other, whatever the label."""
    logits = rng.normal(size=(3, 4))
    loss, dlogits = cross_entropy(logits, np.array([0, 1, 2]), label_smoothing=1.0)
    other, dother = cross_entropy(logits, np.array([3, 3, 3]), label_smoothing=1.0)
    assert loss == pytest.approx(other)
    np.testing.assert_allclose(dlogits, dother, atol=1e-15)


@pytest.mark.parametrize("cls", [c for c in vars(layers).values() if isinstance(c, type) and issubclass(c, Module)])
def test_backward_fills_parameters_and_gives_inputs_unless_told(cls):
    defaults = {name: p.default for name, p in inspect.signature(cls.backward).parameters.items() if p.default is not p.empty}
    assert {name: defaults[name] for name in ("params", "inputs") if name in defaults} == {"params": True, "inputs": True}


def test_momentum_of_muon_looks_ahead_unless_told():
    assert Muon(one_matrix()).nesterov


def test_a_module_without_parameters_has_none_whose_rows_are_known(rng):
    tanh = Tanh()
    tanh(rng.normal(size=(3, 4)))
    assert pairs(tanh, rng.normal(size=(3, 4))) == []
