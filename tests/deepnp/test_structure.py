"""Residual, Fork and Join, and several heads on one backbone: gradients where paths part and meet."""

import copy

import numpy as np
import pytest

from deepnp import Fork, Heads, Identity, Join, Linear, Residual, Sequential, Tanh
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error


def linear(inputs, outputs, rng):
    layer = Linear(inputs, outputs, rng=rng)
    layer.bias.data[...] = rng.normal(size=outputs)
    return layer


NETWORKS = {
    "residual": lambda rng: Residual(Sequential(linear(4, 6, rng), Tanh(), linear(6, 4, rng))),
    "projected": lambda rng: Residual(Sequential(linear(4, 6, rng), Tanh(), linear(6, 3, rng)), linear(4, 3, rng)),
    "nested": lambda rng: Residual(Residual(Sequential(linear(4, 4, rng), Tanh()))),
    "sum": lambda rng: Sequential(Fork(linear(4, 3, rng), Sequential(linear(4, 3, rng), Tanh())), Join()),
    "three": lambda rng: Sequential(linear(4, 4, rng), Fork(Tanh(), Identity(), linear(4, 4, rng)), Join(), linear(4, 2, rng)),
    "concatenate": lambda rng: Sequential(Fork(linear(4, 3, rng), Identity(), linear(4, 1, rng)), Join(-1), linear(8, 2, rng)),
    "along the rows": lambda rng: Sequential(Fork(linear(4, 3, rng), Sequential(linear(4, 3, rng), Tanh())), Join(1)),
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
class TestGradients:
    def test_gradients(self, make, rng, kernels):
        net = make(rng).to(np.float64)
        x = rng.normal(size=(5, 2, 4))
        y = net(x)
        dy = rng.normal(size=y.shape)
        np.testing.assert_array_equal(net.predict(x), y)
        net.zero_grad()
        dx = net.backward(dy)
        assert relative_error(dx, numerical_gradient(lambda v: float((dy * net.predict(v)).sum()), x)) < TOLERANCE
        given, theta = net.flat.grad.copy(), net.flat.data.copy()

        def of_parameters(values):
            net.flat.data[...] = values
            return float((dy * net.predict(x)).sum())

        assert relative_error(given, numerical_gradient(of_parameters, theta)) < TOLERANCE

    def test_params_and_inputs_can_be_skipped(self, make, rng):
        net = make(rng)
        x = rng.normal(size=(5, 2, 4)).astype(np.float32)
        y = net(x)
        net.zero_grad()
        dx = net.backward(y, params=False)
        assert not net.flat.grad.any()
        assert net.backward(y, inputs=False) is None
        assert all(p.grad.any() for p in net.parameters())
        np.testing.assert_array_equal(net.backward(y), dx)

    def test_empty_batch_and_copies(self, make, rng):
        net = make(rng)
        x = np.zeros((0, 2, 4), np.float32)
        y = net(x)
        net.zero_grad()
        assert net.backward(y).shape == x.shape
        assert not net.flat.grad.any()
        full = rng.normal(size=(5, 2, 4)).astype(np.float32)
        np.testing.assert_array_equal(copy.deepcopy(net)(full), net(full))


def test_residual_is_the_sum(rng):
    body, skip, x = linear(4, 3, rng), linear(4, 3, rng), rng.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(Residual(body, skip)(x), body(x) + skip(x))
    square = linear(4, 4, rng)
    np.testing.assert_array_equal(Residual(square)(x), square(x) + x)


def test_names_in_the_state():
    assert list(Residual(Sequential(Linear(2, 2)), Linear(2, 2)).state_dict()) == [
        "body.0.weight",
        "body.0.bias",
        "skip.weight",
        "skip.bias",
    ]
    assert list(Fork(Linear(2, 2), Tanh(), Linear(2, 1)).state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_join_hands_each_part_its_own_piece(rng):
    join, parts = Join(1), tuple(rng.normal(size=(2, n, 3)) for n in (1, 4, 2))
    y = join(parts)
    assert y.shape == (2, 7, 3)
    for part, piece in zip(parts, join.backward(y), strict=True):
        np.testing.assert_array_equal(piece, part)


@pytest.mark.parametrize("inputs", [True, False])
def test_the_backbone_gets_the_sum_of_the_heads_gradients(inputs, rng, kernels):
    backbone = Sequential(linear(4, 6, rng), Tanh())
    value, policy = linear(6, 1, rng), Sequential(linear(6, 5, rng), Tanh(), linear(5, 3, rng))
    net = Sequential(backbone, Heads(value=value, policy=policy)).to(np.float64)
    x, dy = rng.normal(size=(7, 4)), (rng.normal(size=(7, 1)), rng.normal(size=(7, 3)))

    def gradients(network, d):
        net.zero_grad()
        network(x)
        dx = network.backward(d, inputs=inputs)
        return dx, backbone.flat.grad.copy()

    alone = [gradients(Sequential(backbone, head), d) for head, d in zip((value, policy), dy, strict=True)]
    dx, dbackbone = gradients(net, dy)
    np.testing.assert_allclose(dbackbone, alone[0][1] + alone[1][1], rtol=1e-11, atol=1e-13)
    assert all(abs(part).max() > 0.1 for _, part in alone)
    if inputs:
        np.testing.assert_allclose(dx, alone[0][0] + alone[1][0], rtol=1e-11, atol=1e-13)
    else:
        assert dx is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: Residual(Linear(4, 3))(x), r"one shape, given \(5, 3\) and \(5, 4\): project the skip"),
        (lambda x: Residual(Linear(4, 3)).predict(x), "project the skip"),
        (lambda x: Fork(), "at least one branch, given none"),
        (lambda x: Join()((x, x[:, :3])), r"parts of one shape, given \[\(5, 4\), \(5, 3\)\]"),
        (lambda x: Join(0)((x, x[:, :3])), r"parts of one shape but for axis 0, given"),
        (lambda x: Join(2)((x, x)), r"parts with an axis 2, given shape \(5, 4\)"),
        (lambda x: Join()(()), "at least one part"),
    ],
)
def test_bad_input_is_refused_at_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make(np.zeros((5, 4), np.float32))


@pytest.mark.parametrize("make", [lambda: Residual(np.tanh), lambda: Residual(Tanh(), np.tanh), lambda: Fork(Tanh(), np.tanh)])
def test_what_is_no_module_is_refused(make):
    with pytest.raises(TypeError, match=r"a Module as .*, given ufunc"):
        make()


def test_they_show_themselves():
    assert repr(Residual(Linear(2, 2))) == "Residual(Linear(2, 2))"
    assert repr(Residual(Linear(2, 3), Linear(2, 3))) == "Residual(Linear(2, 3), Linear(2, 3))"
    assert (repr(Join()), repr(Join(1)), repr(Identity())) == ("Join()", "Join(1)", "Identity()")
