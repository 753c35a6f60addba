"""Penalties on weights: their value, their gradient, and that biases and scales are left alone."""

import numpy as np
import pytest

from deepnp import LayerNorm, Linear, Sequential
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.optim.decay import decay_weights, l1, l2


@pytest.fixture
def net(rng):
    net = Sequential(Linear(4, 3, rng=rng), LayerNorm(3), Linear(3, 2, rng=rng)).to(np.float64)
    net.flat.data[...] = rng.normal(size=len(net.flat))
    net.flat.data[np.abs(net.flat.data) < 0.05] = 0.05  # away from the kink of |w|
    return net


def weights_of(net) -> list:
    return [net[0].weight, net[2].weight]


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [(l1, lambda w: 0.3 * np.abs(w).sum()), (l2, lambda w: 0.15 * (w * w).sum())],
    ids=["l1", "l2"],
)
def test_penalty_and_its_gradient(net, penalty, expected):
    vector = net.flat
    vector.zero_grad()
    value = penalty(vector, 0.3)
    assert value == pytest.approx(sum(expected(p.data) for p in weights_of(net)), rel=1e-12)
    analytic = vector.grad.copy()

    def at(theta):
        before = vector.data.copy()
        vector.data[...] = theta
        out = penalty(vector, 0.3)
        vector.data[...] = before
        return out

    assert relative_error(analytic, numerical_gradient(at, vector.data.copy())) < TOLERANCE


@pytest.mark.parametrize("penalty", [l1, l2])
def test_penalty_adds_to_the_gradient_of_weights_only(net, penalty, rng):
    vector = net.flat
    vector.grad[...] = before = rng.normal(size=len(vector))
    data = vector.data.copy()
    penalty(vector, 0.5)
    names = {name for name, changed in vector.views(vector.grad != before).items() if changed.any()}
    assert names == {"0.weight", "2.weight"}
    np.testing.assert_array_equal(vector.data, data)


def test_l1_of_a_weight_at_zero_pulls_nowhere(net):
    net[0].weight.data[...] = 0
    net.zero_grad()
    l1(net.flat, 1.0)
    assert not net[0].weight.grad.any()
    assert net[2].weight.grad.all()


def test_decay_shortens_weights_only(net):
    before = {name: value.copy() for name, value in net.state_dict().items()}
    net.zero_grad()
    decay_weights(net.flat, 0.1)
    for name, value in net.state_dict().items():
        kept = 0.9 if name in ("0.weight", "2.weight") else 1.0
        np.testing.assert_allclose(value, kept * before[name], rtol=1e-14)
    assert not net.flat.grad.any()


def test_l2_under_gradient_descent_is_decoupled_decay(net):
    lr, strength, start = 0.1, 0.3, net.flat.data.copy()
    net.zero_grad()
    l2(net.flat, strength)
    coupled = start - lr * net.flat.grad
    decay_weights(net.flat, lr * strength)
    np.testing.assert_allclose(net.flat.data, coupled, rtol=1e-13)


def test_float32_stays_float32(rng):
    net = Linear(3, 2, rng=rng)
    net.zero_grad()
    l1(net.flat, 0.1)
    l2(net.flat, 0.1)
    decay_weights(net.flat, 0.1)
    assert net.flat.data.dtype == net.flat.grad.dtype == np.float32


@pytest.mark.parametrize("strength", [-0.1, np.nan])
@pytest.mark.parametrize("penalty", [l1, l2])
def test_strengths_are_not_negative(net, penalty, strength):
    with pytest.raises(ValueError, match="strength >= 0, given"):
        penalty(net.flat, strength)


@pytest.mark.parametrize("factor", [-0.1, 1.5, np.nan])
def test_decay_is_a_share(net, factor):
    with pytest.raises(ValueError, match=r"factor in \[0, 1\], given"):
        decay_weights(net.flat, factor)
