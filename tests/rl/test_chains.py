"""The one-call forms of critics and policies (rl/networks/chains.py, drawing.py) against the plain ones, from module to module."""

import numpy as np
import pytest

import deepnp
from deepnp import GroupNorm, ReLU, Sine, Tanh
from rl.networks import chains, drawing
from rl.networks.actors import SquashedGaussianPolicy
from rl.networks.encoders import network
from tests.rl.toys import space

OBSERVATION, A = 5, 3


@pytest.fixture(autouse=True)
def kernels_on_again():
    yield
    deepnp.use_kernels(True)


def plainly(function):
    deepnp.use_kernels(False)
    result = function()
    deepnp.use_kernels(True)
    return result


def critics(rng, count=2, hidden=(32, 16), activation=ReLU, beside=A, **settings):
    networks = [
        network(space(OBSERVATION, A).observation, hidden, 1, activation, rng, beside=beside, **settings) for _ in range(count)
    ]
    for q in networks:
        q.flat.data[...] += 0.1 * rng.normal(size=len(q.flat)).astype("f")
    return networks


def rows(rng, n, *widths):
    return tuple(rng.normal(size=(n, width)).astype("f") for width in widths)


def same(fast, plain):
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("activation", [ReLU, Tanh, Sine])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 7, 64])
def test_values_and_action_gradients(rng, activation, count, n):
    networks, inputs = critics(rng, count, activation=activation), rows(rng, n, OBSERVATION, A)
    assert chains.stacks_of(networks, inputs, ()) is not None
    same([chains.smallest(networks, inputs)], [plainly(lambda: chains.smallest(networks, inputs))])
    given = chains.action_gradient(networks, inputs, -0.3)
    same(given, plainly(lambda: chains.action_gradient(networks, inputs, -0.3)))
    assert np.abs(given[1]).max() > 1e-3


def test_a_critic_that_no_row_goes_through(rng):
    networks, inputs = critics(rng), rows(rng, 9, OBSERVATION, A)
    for smaller in (0, 1):
        networks[smaller].flat.data[-1] -= 100  # the last bias
        same(
            chains.action_gradient(networks, inputs, 1.0),
            plainly(lambda: chains.action_gradient(networks, inputs, 1.0)),
        )
        networks[smaller].flat.data[-1] += 100


def test_equal_critics_pass_the_gradient_through_the_first(rng):
    (first,), inputs = critics(rng, 1), rows(rng, 9, OBSERVATION, A)
    second = first.twin()
    same(chains.action_gradient([first, second], inputs, 1.0), chains.action_gradient([first], inputs, 1.0))


@pytest.mark.parametrize("activation", [ReLU, Tanh, Sine])
@pytest.mark.parametrize("beside", [0, A])
@pytest.mark.parametrize("form", [(), (0.8,), (0.3, 0.25)])
def test_td_gradients_are_added(rng, activation, beside, form):
    (q,), inputs = critics(rng, 1, activation=activation, beside=beside), rows(rng, 33, OBSERVATION, beside)[: 1 + bool(beside)]
    targets, weights = rng.normal(size=33).astype("f"), rng.uniform(0.5, 1, 33).astype("f")

    def run():
        q.flat.grad.fill(0.5)
        loss, errors = chains.add_td_gradient([q], inputs, targets, weights, *form)
        return loss, errors, q.flat.grad.copy()

    same(run(), plainly(run))


def test_a_nan_reaches_the_values(rng):
    networks, (s, a) = critics(rng), rows(rng, 6, OBSERVATION, A)
    s[2] = np.nan
    for run in (lambda f: f(), plainly):
        assert np.isnan(run(lambda: chains.smallest(networks, (s, a))))[2]
        assert np.isnan(run(lambda: chains.action_gradient(networks, (s, a), 1.0)[0]))[2]
    ones = np.ones(6, np.float32)
    before = networks[0].flat.grad.copy()
    assert np.isnan(chains.add_td_gradient(networks[:1], (s, a), ones, ones)[0])
    np.testing.assert_array_equal(networks[0].flat.grad, before)


def test_what_the_kernels_do_not_know_goes_from_module_to_module(rng):
    inputs = rows(rng, 8, OBSERVATION, A)
    wide, normalized = critics(rng), critics(rng, hidden=(32,), normalization=lambda f: GroupNorm(4, f))
    assert chains.stacks_of(normalized, inputs, ()) is None
    assert chains.stacks_of([wide[0], critics(rng, hidden=(8,))[0]], inputs, ()) is None
    assert chains.stacks_of(wide, (inputs[0].astype("d"), inputs[1]), ()) is None
    assert chains.stacks_of(wide, (inputs[0][::2], inputs[1][::2]), ()) is None  # not contiguous
    assert chains.stacks_of(wide, inputs, (inputs[0][:, 0].copy(), None)) is None  # no weights
    same([chains.smallest(normalized, inputs)], [plainly(lambda: chains.smallest(normalized, inputs))])


@pytest.mark.parametrize("shapes", [((8, OBSERVATION + 1), (8, A)), ((8, OBSERVATION), (7, A)), ((8, OBSERVATION), (8, A - 1))])
def test_wrong_shapes_are_refused(rng, shapes):
    inputs = tuple(np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError, match=r"expected input of shape|along dimension 0|must match exactly"):
        chains.smallest(critics(rng), inputs)


def test_targets_of_two_axes_are_refused(rng):
    column = np.zeros((8, 1), np.float32)
    with pytest.raises(ValueError, match=r"expected values, targets and weights \(B,\)"):
        chains.add_td_gradient(critics(rng, 1), rows(rng, 8, OBSERVATION, A), column, column)


def test_no_rows(rng):
    values, gradient = chains.action_gradient(critics(rng), rows(rng, 0, OBSERVATION, A), 1.0)
    assert values.shape == (0,)
    assert gradient.shape == (0, A)


@pytest.mark.parametrize("n", [1, 10])
@pytest.mark.parametrize("activation", [ReLU, Tanh, Sine])
def test_drawing(rng, n, activation):
    policy = SquashedGaussianPolicy(space(OBSERVATION, A), (16, 8), activation, True, rng)
    policy.flat.data[...] += 0.3 * rng.normal(size=len(policy.flat)).astype("f")
    x, noise, dactions = rows(rng, n, OBSERVATION, A, A)
    dlog_prob = rng.normal(size=n).astype("f")

    def run():
        drawn = policy.forward(x, noise)
        policy.zero_grad()
        dx = policy.backward((dactions, dlog_prob))
        gradient = policy.flat.grad.copy()
        only_x = policy.backward((dactions, dlog_prob), params=False)
        np.testing.assert_array_equal(policy.flat.grad, gradient)
        assert policy.backward((dactions, dlog_prob), inputs=False) is None
        return *drawn, dx, gradient, only_x, *policy.predict(x, noise)

    assert drawing.runs(policy._stack, x, noise)
    same(run(), plainly(run))


@pytest.mark.parametrize("shape", [(4,), (4, A, 1), (4, A - 1), (3, A)])
def test_noise_of_a_wrong_shape_is_refused(rng, shape):
    policy = SquashedGaussianPolicy(space(OBSERVATION, A), (16,), ReLU, True, rng)
    with pytest.raises(ValueError, match="expected noise of shape"):
        policy.forward(*rows(rng, 4, OBSERVATION), np.zeros(shape, np.float32))


def test_a_wrong_upstream_of_a_drawing_is_refused(rng):
    policy = SquashedGaussianPolicy(space(OBSERVATION, A), (16,), ReLU, True, rng)
    x, noise = rows(rng, 4, OBSERVATION, A)
    policy.forward(x, noise)
    for dy in ((noise[:3], np.zeros(4, "f")), (noise, np.zeros(3, "f")), (noise[:, :2], np.zeros(4, "f"))):
        with pytest.raises(ValueError, match="expected d"):
            policy.backward(dy)
    with pytest.raises(RuntimeError, match="expected a forward before backward"):
        SquashedGaussianPolicy(space(OBSERVATION, A), (16,), ReLU, True, rng).backward((noise, np.zeros(4, "f")))
