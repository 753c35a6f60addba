"""Dropout and spectral normalisation: what is drawn, what inference does, where the gradient goes."""

import copy

import numpy as np
import pytest

from deepnp import Linear, Module, Parameter, Sequential, Tanh
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.layers.regularization import Dropout, Dropout1d, Dropout2d, SpectralNorm
from deepnp.ops.regularization import spectral_norm

F64 = np.float64


class TestDropout:
    @pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
    def test_keeps_the_expectation(self, p, rng):
        y = Dropout(p, rng=rng)(np.ones((200, 500), np.float32))
        kept = y != 0
        assert y.dtype == np.float32
        np.testing.assert_allclose(y[kept], 1 / (1 - p), rtol=1e-6)
        assert abs(kept.mean() - (1 - p)) < 0.01  # six standard deviations

    def test_backward_goes_where_forward_went(self, rng):
        layer, x, dy = Dropout(0.4, rng=rng), rng.normal(size=(6, 7)), rng.normal(size=(6, 7))
        factor = layer(x) / x
        np.testing.assert_allclose(layer.backward(dy), dy * factor, rtol=1e-12)
        assert layer.backward(dy, inputs=False) is None

    def test_every_pass_draws_anew_from_its_own_generator(self):
        x = np.ones((20, 20))
        a, b = (Dropout(0.5, rng=np.random.default_rng(3)) for _ in range(2))
        first = a(x)
        np.testing.assert_array_equal(first, b(x))
        assert (a(x) != first).any()
        assert (Dropout(0.5)(x) != Dropout(0.5)(x)).any()

    def test_inference_returns_the_input_and_draws_nothing(self, rng):
        layer, x = Dropout(0.5, rng=rng), np.ones((5, 4))
        layer(x)
        dx, state = layer.backward(x), rng.bit_generator.state
        np.testing.assert_array_equal(layer.predict(2 * x), 2 * x)
        assert rng.bit_generator.state == state
        np.testing.assert_array_equal(layer.backward(x), dx)

    @pytest.mark.parametrize(("make", "shape"), [(Dropout1d, (9, 40, 5)), (Dropout2d, (9, 40, 3, 5))])
    def test_spatial_dropout_drops_whole_channels(self, make, shape, rng):
        layer = make(0.25, rng=rng)
        y = layer(np.ones(shape)).reshape(9, 40, -1)
        assert (y == y[:, :, :1]).all()
        np.testing.assert_allclose(np.unique(y), [0, 4 / 3])
        assert len(np.unique(y[:, :, 0], axis=0)) > 1  # each row its own
        np.testing.assert_array_equal(layer.backward(np.ones(shape)).reshape(y.shape), y)

    @pytest.mark.parametrize(
        ("layer", "shape"), [(Dropout(0.5), (0, 4)), (Dropout1d(0.5), (0, 4, 2)), (Dropout2d(0.5), (0, 4, 2, 2))]
    )
    def test_an_empty_batch(self, layer, shape):
        x = np.zeros(shape)
        assert layer(x).shape == layer.backward(x).shape == layer.predict(x).shape == shape

    def test_shows_itself_and_has_no_state(self):
        assert [repr(layer) for layer in (Dropout(0.1), Dropout1d(0.1), Dropout2d(0.1))] == [
            "Dropout(0.1)",
            "Dropout1d(0.1)",
            "Dropout2d(0.1)",
        ]
        assert Dropout(0.1).state_dict() == {}

    @pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, np.nan])
    @pytest.mark.parametrize("make", [Dropout, Dropout1d, Dropout2d])
    def test_p_is_a_probability_below_one(self, make, p):
        with pytest.raises(ValueError, match=r"p in \[0, 1\), given"):
            make(p)

    def test_spatial_dropout_refuses_other_shapes(self):
        for call in (Dropout1d(0.5), Dropout1d(0.5).predict):
            with pytest.raises(ValueError, match=r"3 axes, batch and channels first, given \(5, 4\)"):
                call(np.zeros((5, 4)))
        with pytest.raises(ValueError, match="4 axes"):
            Dropout2d(0.5)(np.zeros((5, 4, 3)))


class Filters(Module):
    """y = x · W over all but the first axis of W: a stand-in for a convolution, with a weight of four axes."""

    def __init__(self, rng):
        self.weight = Parameter(rng.normal(size=(3, 2, 2, 2)))
        self._cache = None

    def forward(self, x):
        self._cache = x
        return self.predict(x)

    def backward(self, dy, params=True, inputs=True):
        if params:
            self.weight.grad += np.einsum("bo,bijk->oijk", dy, self._cache)
        return np.einsum("bo,oijk->bijk", dy, self.weight.data) if inputs else None

    def predict(self, x):
        return np.einsum("bijk,oijk->bo", x, self.weight.data)


def linear(rng, power_iterations=1):
    return SpectralNorm(Linear(4, 3, rng=rng), power_iterations, rng=rng).to(F64)


def largest_singular_value(weight) -> float:
    return float(np.linalg.svd(weight.reshape(len(weight), -1), compute_uv=False)[0])


class TestSpectralNorm:
    @pytest.mark.parametrize("make", [lambda rng: Linear(7, 5, rng=rng).to(F64), Filters], ids=["linear", "filters"])
    def test_the_normalised_weight_has_norm_one(self, make, rng):
        module = make(rng)
        raw = module.weight.data.copy()
        layer = SpectralNorm(module, power_iterations=50, rng=rng)
        inputs = np.eye(raw[0].size).reshape(-1, *raw.shape[1:])
        columns = layer(inputs)
        np.testing.assert_allclose(np.linalg.svd(columns, compute_uv=False)[0], 1, rtol=1e-4)
        np.testing.assert_allclose(columns.T.reshape(raw.shape), raw / largest_singular_value(raw), rtol=1e-3)
        np.testing.assert_array_equal(module.weight.data, raw)

    def test_power_iteration_finds_the_first_singular_pair(self, rng):
        layer = SpectralNorm(Linear(7, 5, rng=rng).to(F64), power_iterations=500, rng=rng)
        layer(np.zeros((1, 7)))
        left, _, right = np.linalg.svd(layer.module.weight.data)
        sign = np.sign(layer.u.data @ left[:, 0])
        np.testing.assert_allclose(layer.u.data, sign * left[:, 0], atol=1e-9)
        np.testing.assert_allclose(layer.v.data, sign * right[0], atol=1e-9)

    @pytest.mark.parametrize(
        ("make", "shape"), [(lambda rng: Linear(4, 3, rng=rng).to(F64), (5, 4)), (Filters, (5, 2, 2, 2))], ids=["linear", "filters"]
    )
    def test_gradients_go_to_the_raw_weight(self, make, shape, rng, kernels):
        layer = SpectralNorm(make(rng), rng=rng)
        x, dy = rng.normal(size=shape), rng.normal(size=(5, 3))
        layer(x)
        layer.zero_grad()
        dx = layer.backward(dy)
        assert relative_error(dx, numerical_gradient(lambda v: float((dy * layer.predict(v)).sum()), x)) < TOLERANCE
        analytic, theta = layer.flat.grad.copy(), layer.flat.data

        def projected(value):  # predict holds u and v
            before = theta.copy()
            theta[...] = value
            out = float((dy * layer.predict(x)).sum())
            theta[...] = before
            return out

        assert relative_error(analytic, numerical_gradient(projected, theta.copy())) < TOLERANCE

    def test_gradient_is_that_of_the_true_norm_once_u_and_v_have_settled(self, rng):
        layer, x, dy = linear(rng, 2000), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
        layer(x)
        layer.zero_grad()
        layer.backward(dy)
        raw, bias = layer.module.weight.data.copy(), layer.module.bias.data

        def projected(weight):
            return float((dy * (x @ weight.T / largest_singular_value(weight) + bias)).sum())

        assert relative_error(layer.module.weight.grad, numerical_gradient(projected, raw)) < TOLERANCE

    def test_either_side_of_backward_can_be_skipped_and_gradients_add(self, rng):
        layer, x, dy = linear(rng), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
        layer(x)
        layer.zero_grad()
        dx = layer.backward(dy, params=False)
        assert not layer.flat.grad.any()
        assert layer.backward(dy, inputs=False) is None
        once = layer.flat.grad.copy()
        assert once.all()
        np.testing.assert_array_equal(layer.backward(dy), dx)
        np.testing.assert_allclose(layer.flat.grad, 2 * once, rtol=1e-12)

    def test_only_forward_moves_u_and_v(self, rng):
        layer, x, dy = linear(rng), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
        layer.module.weight.data[...] = rng.normal(size=(3, 4))
        before = layer.u.data.copy(), layer.v.data.copy()
        layer.predict(x)
        np.testing.assert_array_equal(layer.u.data, before[0])
        np.testing.assert_array_equal(layer.v.data, before[1])
        y = layer(x)
        assert (layer.u.data != before[0]).any()
        np.testing.assert_array_equal(layer.predict(x), y)
        dx = layer.backward(dy, params=False)
        layer.predict(rng.normal(size=(2, 4)))
        np.testing.assert_array_equal(layer.backward(dy, params=False), dx)

    def test_the_weight_stays_a_view_of_the_flat_vector(self, rng):
        net = Sequential(linear(rng), Tanh(), linear_back(rng)).to(F64)
        vector, x = net.flat, rng.normal(size=(5, 4))
        net(x)
        net.zero_grad()
        net.backward(np.ones((5, 4)))
        assert net.flat is vector
        assert all(np.shares_memory(p.data, vector.data) and np.shares_memory(p.grad, vector.grad) for p in net.parameters())
        before = net.predict(x)
        vector.data *= 2  # twice the weight, the same W/σ
        vector.views(vector.data)["0.module.bias"][...] /= 2
        vector.views(vector.data)["2.module.bias"][...] /= 2
        np.testing.assert_allclose(net.predict(x), before, rtol=1e-12)

    def test_state(self, rng):
        a, b, x = linear(rng), linear(rng), rng.normal(size=(5, 4))
        assert list(a.state_dict()) == ["module.weight", "module.bias", "u", "v"]
        assert len(a.parameters()) == 2
        a(x)
        b.load_state_dict(a.state_dict())
        np.testing.assert_array_equal(a.predict(x), b.predict(x))

    def test_a_deep_copy_stands_alone(self, rng):
        layer, x, dy = linear(rng), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
        layer(x)
        layer.zero_grad()
        twin = copy.deepcopy(layer)
        np.testing.assert_array_equal(twin.predict(x), layer.predict(x))
        twin(x)
        twin.backward(dy)
        assert not layer.flat.grad.any()
        assert twin.flat.grad.all()
        twin.module.bias.data += 1
        assert (twin.predict(x) > layer.predict(x)).all()

    def test_float32_and_an_empty_batch(self, rng):
        layer = SpectralNorm(Linear(4, 3, rng=rng), rng=rng)
        x = np.zeros((0, 4), np.float32)
        y = layer(x)
        layer.zero_grad()
        assert layer.backward(y).shape == (0, 4)
        assert layer.predict(x).shape == (0, 3)
        assert not layer.flat.grad.any()
        assert layer(np.ones((2, 4), np.float32)).dtype == layer.u.data.dtype == np.float32

    def test_a_step_of_the_power_method_gives_unit_vectors(self, rng):
        for vector in spectral_norm.iterate(rng.normal(size=(4, 3, 2)), rng.normal(size=4)):
            assert vector @ vector == pytest.approx(1, rel=1e-10)

    @pytest.mark.parametrize("module", [Tanh(), np.zeros((3, 4)), None])
    def test_refuses_what_has_no_weight(self, module):
        with pytest.raises(TypeError, match="Module with a weight Parameter of at least two axes"):
            SpectralNorm(module)

    def test_bad_arguments(self, rng):
        with pytest.raises(ValueError, match="power_iterations >= 1 and eps > 0, given 0"):
            SpectralNorm(Linear(4, 3, rng=rng), 0)
        with pytest.raises(ValueError, match="eps > 0"):
            SpectralNorm(Linear(4, 3, rng=rng), eps=0)
        nothing = Linear(4, 3, rng=rng)
        nothing.weight.data[...] = 0
        with pytest.raises(ValueError, match="not all zeros"):
            SpectralNorm(nothing)
        with pytest.raises(ValueError, match=r"shape \(…, 4\), given \(5, 3\)"):
            linear(rng)(np.zeros((5, 3)))

    def test_shows_itself(self, rng):
        assert repr(linear(rng)) == "SpectralNorm(Linear(4, 3))"


def linear_back(rng):
    return SpectralNorm(Linear(3, 4, rng=rng), rng=rng)
