"""Modules: gradients through whole networks, the flat vector, state, clear errors."""

import copy

import numpy as np
import pytest

import deepnp
from deepnp import Heads, LayerNorm, Linear, Parameter, ParameterVector, ReLU, Sequential, Sigmoid, Sine, Softmax, Softplus, Tanh
from deepnp.blas import NAMES, find_sgemm
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.models import mlp


def network(rng):
    layers = [Linear(4, 6, rng=rng), LayerNorm(6), Tanh(), Linear(6, 5, rng=rng), Sigmoid(), Linear(5, 3, rng=rng)]
    return Sequential(*layers, Softplus(beta=2.0), Softmax(temperature=0.7)).to(np.float64)


def test_network_gradients(rng, kernels):
    net, x, dy = network(rng), rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    net.flat.data[...] += rng.normal(size=len(net.flat)) * 0.1  # away from γ = 1, β = 0
    net(x)
    net.zero_grad()
    dx = net.backward(dy)
    assert relative_error(dx, numerical_gradient(lambda v: float((dy * net.predict(v)).sum()), x)) < TOLERANCE
    analytic = net.flat.grad.copy()

    def of_parameters(theta):
        before = net.flat.data.copy()
        net.flat.data[...] = theta
        value = float((dy * net.predict(x)).sum())
        net.flat.data[...] = before
        return value

    assert relative_error(analytic, numerical_gradient(of_parameters, net.flat.data.copy())) < TOLERANCE


def test_backward_adds_to_gradients_and_can_skip_either_side(rng):
    net, x, dy = network(rng), rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    net(x)
    net.zero_grad()
    dx = net.backward(dy)
    once = net.flat.grad.copy()
    np.testing.assert_array_equal(net.backward(dy, params=False), dx)
    np.testing.assert_array_equal(net.flat.grad, once)
    assert net.backward(dy, inputs=False) is None
    np.testing.assert_allclose(net.flat.grad, 2 * once)


def test_fused_layers_equal_unfused(rng):
    linear = Linear(4, 6, rng=rng).to(np.float64)
    x, dy = rng.normal(size=(3, 5, 4)), rng.normal(size=(3, 5, 6))
    for activation in (Tanh, ReLU, Sigmoid, Sine):
        fused, alone = Sequential(linear, activation()), activation()
        y = alone(linear(x))
        np.testing.assert_allclose(fused(x), y, rtol=1e-14)
        linear.zero_grad()
        dx = linear.backward(alone.backward(dy))
        expected = linear.flat.grad.copy()
        linear.zero_grad()
        np.testing.assert_allclose(fused.backward(dy), dx, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(linear.flat.grad, expected, rtol=1e-12, atol=1e-14)
        assert list(fused.state_dict()) == ["0.weight", "0.bias"]


def test_a_sine_of_another_frequency_stays_alone(rng):
    net, x = Sequential(Linear(4, 6, rng=rng), Sine(3.0)), rng.normal(size=(5, 4)).astype("f")
    assert len(net.steps) == 2
    np.testing.assert_allclose(net(x), np.sin(3 * net[0].predict(x)), rtol=1e-5, atol=1e-6)


def tower(rng, dtype=np.float32):
    layers = Linear(4, 8, rng=rng), Tanh(), Linear(8, 8, rng=rng), ReLU(), Linear(8, 5, rng=rng), Linear(5, 6, rng=rng), Sine()
    return Sequential(*layers, Linear(6, 7, rng=rng), Sine(), Linear(7, 3, rng=rng)).to(dtype)


def one_by_one(net, x, dy):
    """y, dx and the flat gradient of a Sequential's modules called one after another, nothing fused."""
    modules = [module for _, module in net.children()]
    net.zero_grad()
    for module in modules:
        x = module.forward(x)
    for module in reversed(modules):
        dy = module.backward(dy)
    return x, dy, net.flat.grad.copy()


def test_a_stack_is_one_step_and_equals_its_layers(rng, kernels):
    net, x, dy = tower(rng), rng.normal(size=(6, 2, 4)).astype("f"), rng.normal(size=(6, 2, 3)).astype("f")
    assert len(net.steps) == 1
    y, dx, gradient = one_by_one(net, x, dy)
    close = dict(rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.forward(x), y, **close)
    np.testing.assert_allclose(net.predict(x), y, **close)
    net.zero_grad()
    np.testing.assert_allclose(net.backward(dy, params=False), dx, **close)
    assert not net.flat.grad.any()
    assert net.backward(dy, inputs=False) is None
    np.testing.assert_allclose(net.backward(dy), dx, **close)
    np.testing.assert_allclose(net.flat.grad, 2 * gradient, **close)


def test_a_shadow_has_the_parameters_but_its_own_memory(rng, kernels):
    net, x, dy = tower(rng), rng.normal(size=(9, 4)).astype("f"), rng.normal(size=(9, 3)).astype("f")
    y, dx, gradient = one_by_one(net, x, dy)
    net.zero_grad()
    twin = net.twin()
    np.testing.assert_allclose(np.concatenate([net.forward(x[:5]), twin.forward(x[5:])]), y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([net.backward(dy[:5]), twin.backward(dy[5:])]), dx, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.flat.grad + twin.flat.grad, gradient, rtol=1e-4, atol=1e-5)
    net.load_state_dict({name: 2 * value for name, value in net.state_dict().items()})
    np.testing.assert_array_equal(twin.predict(x), net.predict(x))
    assert twin.flat.data is net.flat.data


def test_a_shadow_shares_running_statistics(rng):
    net = deepnp.Sequential(deepnp.Linear(4, 3, rng=rng), deepnp.BatchNorm1d(3))
    twin = net.twin()
    net.forward(rng.normal(size=(9, 4)).astype("f"))
    x = rng.normal(size=(5, 4)).astype("f")
    np.testing.assert_array_equal(twin.predict(x), net.predict(x))


def test_the_stack_s_kernel_runs_where_numpy_s_blas_is_found(rng):
    assert find_sgemm()[0] != 0, "NumPy's wheels bring OpenBLAS: its sgemm should be found"
    assert all(wide == name.endswith("64_") for name, wide in NAMES)  # OpenBLAS's mark of 64-bit sizes
    stack = tower(rng).steps[0]
    stack.forward(rng.normal(size=(2, 4)).astype("f"))
    assert stack._cache.values is not None  # the kernel keeps one workspace, the plain form a list of caches


@pytest.mark.parametrize("move", ["apart", "copied", "together again"])
def test_a_stack_follows_its_parameters_wherever_they_lie(rng, move):
    net, x, dy = tower(rng), rng.normal(size=(5, 4)).astype("f"), rng.normal(size=(5, 3)).astype("f")
    y, _, gradient = one_by_one(net, x, dy)
    views = net.flat.views(gradient)
    net.forward(x)
    if move == "copied":
        net = copy.deepcopy(net)
    else:
        ParameterVector({"weight": net[2].weight, "bias": net[2].bias})  # the second layer leaves its neighbours
        if move == "together again":
            net.forward(x)
            assert len(net.flat) == len(gradient)
    for _, p in net.named_parameters():
        p.grad[...] = 0
    np.testing.assert_allclose(net.forward(x), y, rtol=1e-5, atol=1e-6)
    net.backward(dy)
    for name, p in net.named_parameters():
        np.testing.assert_allclose(p.grad, views[name], rtol=1e-5, atol=1e-6)
    net[0].weight.data[...] += 1  # seen at once, not a copy of what was
    assert not np.allclose(net.forward(x), y)


def test_predict_equals_forward_and_keeps_the_cache(rng):
    net, x = network(rng), rng.normal(size=(7, 4))
    y = net(x)
    dy = rng.normal(size=y.shape)
    dx = net.backward(dy)
    np.testing.assert_array_equal(net.predict(x), y)
    net.predict(rng.normal(size=(2, 4)))
    np.testing.assert_array_equal(net.backward(dy), dx)


def test_heads_sum_the_input_gradient(rng):
    heads = Heads(a=Linear(4, 2, rng=rng), b=Sequential(Linear(4, 3, rng=rng), Tanh())).to(np.float64)
    x, dy = rng.normal(size=(5, 4)), (rng.normal(size=(5, 2)), rng.normal(size=(5, 3)))
    heads(x)
    dx = heads.backward(dy)

    def projected(v):
        return sum(float((d * y).sum()) for d, y in zip(dy, heads.predict(v), strict=True))

    assert relative_error(dx, numerical_gradient(projected, x)) < TOLERANCE
    assert list(heads.state_dict()) == ["a.weight", "a.bias", "b.0.weight", "b.0.bias"]


def test_flat_vector_shares_memory_with_the_parameters(rng):
    net = mlp([3, 4, 2], rng=rng)
    flat = net.flat
    assert flat is net.flat
    assert len(flat) == 3 * 4 + 4 + 4 * 2 + 2
    flat.data[...] = 7
    assert all((p.data == 7).all() and np.shares_memory(p.grad, flat.grad) for p in net.parameters())
    assert flat.owner(12) == "0.bias"
    assert flat.views(flat.grad)["2.weight"].shape == (2, 4)


def test_growing_a_model_marks_the_old_vector_stale(rng):
    from deepnp.optim import Adam

    small = Linear(3, 3, rng=rng)
    optimizer = Adam(small.flat)
    grown = Sequential(small, Linear(3, 1, rng=rng))
    assert len(grown.flat) == 16
    with pytest.raises(RuntimeError, match="moved to another vector"):
        optimizer.step()


def test_a_deep_copy_has_a_vector_of_its_own(rng):
    net = mlp([3, 4, 2], rng=rng)
    net.flat.data[0] = 5
    y = net(np.ones((5, 3), np.float32))
    twin = copy.deepcopy(net)
    np.testing.assert_array_equal(twin(np.ones((5, 3), np.float32)), y)
    twin.flat.data[...] = 7
    assert all((p.data == 7).all() for p in twin.parameters())
    assert net.flat.data[0] == 5


def test_state_dict_round_trip_writes_in_place(rng):
    a, b = mlp([3, 4, 2], rng=rng), mlp([3, 4, 2], rng=rng)
    vector = b.flat
    b.load_state_dict(a.state_dict())
    assert b.flat is vector
    np.testing.assert_array_equal(a.flat.data, b.flat.data)


def test_load_state_dict_refuses_and_writes_nothing(rng):
    net = mlp([3, 4, 2], rng=rng)
    before = net.flat.data.copy()
    wrong_shape = {**net.state_dict(), "0.weight": np.zeros((3, 4))}
    with pytest.raises(ValueError, match=r'"0.weight" of shape \(4, 3\), given \(3, 4\)'):
        net.load_state_dict(wrong_shape)
    with pytest.raises(ValueError, match=r"missing \['0.bias'\].*unknown \['extra'\]"):
        net.load_state_dict({"extra" if k == "0.bias" else k: v + 1 for k, v in net.state_dict().items()})
    np.testing.assert_array_equal(net.flat.data, before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(0, 3), "positive in_features"),
        (lambda: Linear(3, -1), "positive out_features"),
        (lambda: LayerNorm(0), "normalized_shape >= 1"),
        (lambda: Softplus(beta=0), "beta > 0"),
        (lambda: Softmax(temperature=-1), "temperature > 0"),
        (lambda: Sequential(), "at least one module"),
        (lambda: Heads(), "at least one head"),
        (lambda: mlp([3]), "at least an input"),
        (lambda: Linear(3, 2)(np.zeros((5, 4), np.float32)), r"shape \(…, 3\), given \(5, 4\)"),
        (lambda: mlp([3, 2, 1])(np.zeros((5, 4), np.float32)), r"shape \(…, 3\) .*given \(5, 4\)"),
        (lambda: LayerNorm(3)(np.zeros((5, 4), np.float32)), r"shape \(…, 3\), given \(5, 4\)"),
        (lambda: Linear(2, 2).to("tpu"), '"cpu" or "cuda", given \'tpu\''),
        (lambda: deepnp.set_num_threads(0), "positive number of threads"),
    ],
)
def test_bad_input_is_refused_at_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sequential_refuses_what_is_no_module():
    with pytest.raises(TypeError, match="a Module as position 1, given function"):
        Sequential(Linear(2, 2), np.tanh if False else lambda x: x)


def test_non_finite_values_are_named(rng):
    net = mlp([3, 4, 2], rng=rng)
    net.flat.grad[14] = np.nan
    with pytest.raises(deepnp.NonFiniteError, match=r'gradient of parameter "0\.bias" holds nan'):
        net.flat.check_finite(net.flat.grad, "gradient")
    huge = np.full(len(net.flat), 1e30, np.float32)
    with np.errstate(over="ignore"):
        net.flat.check_finite(huge, "gradient")  # its square overflows; the values are finite


def test_parameter_shows_itself():
    assert repr(Parameter(np.zeros((2, 3)))) == "Parameter(shape=(2, 3), dtype=float64)"


def test_empty_batch_gives_zero_gradients(rng):
    net = mlp([3, 4, 2], rng=rng)
    y = net(np.zeros((0, 3), np.float32))
    net.zero_grad()
    assert net.backward(y).shape == (0, 3)
    assert not net.flat.grad.any()
