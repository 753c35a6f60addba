"""Activations: the error function, the float32 kernels over their whole range, kinks, and the layers."""

import copy
import math

import numpy as np
import pytest

from deepnp import Parameter, elementary
from deepnp.erf import erf
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.layers import Dropout
from deepnp.layers import activation as layers
from deepnp.models.mlp import ACTIVATIONS, mlp
from deepnp.ops.activation import (
    elu,
    gelu,
    gelu_tanh,
    glu,
    hard_tanh,
    leaky_relu,
    log_softmax,
    mish,
    prelu,
    relu,
    rrelu,
    selu,
    sigmoid,
    silu,
    sine,
    softmax,
    softplus,
    tanh,
)

KERNELS = [(op, ()) for op in (tanh, sigmoid, softplus, elu, selu, gelu, gelu_tanh, silu, mish, sine)]
KERNELS += [(softplus, (3.0, 0.5)), (elu, (0.5, 2.0)), (sine, (30.0,)), (leaky_relu, (0.3,))]
WITHOUT_PARAMETERS = [
    layers.Tanh(),
    layers.ReLU(),
    layers.LeakyReLU(0.2),
    layers.ELU(0.5),
    layers.SELU(),
    layers.Hardtanh(-0.5, 0.4),
]
WITHOUT_PARAMETERS += [layers.Sigmoid(), layers.Softplus(), layers.GELU(), layers.GELU("tanh"), layers.SiLU(), layers.Mish()]
WITHOUT_PARAMETERS += [layers.Sine(3.0), layers.Softmax(temperature=0.7), layers.LogSoftmax(), layers.GLU()]


def label(value):
    return value.__name__.rsplit(".", 1)[-1] if hasattr(value, "CASES") else str(value)


def test_erf_is_right_to_the_last_digits():
    x = np.concatenate([np.linspace(-7, 7, 50_001), np.linspace(0.46, 0.48, 2001), np.geomspace(1e-300, 1, 1000)])
    exact = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(erf(x), exact, rtol=1e-15, atol=0)
    narrow = erf(x.astype(np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, exact, rtol=0, atol=3e-7)


def test_erf_far_out_and_of_nothing():
    np.testing.assert_array_equal(erf(np.array([np.inf, -np.inf, 1e308, -1e308, 0.0, np.nan])), [1, -1, 1, -1, 0, np.nan])
    assert erf(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("fast", "exact", "low", "high"),
    [
        (elementary.exp, np.exp, -87, 88),
        (elementary.expm1, np.expm1, -100, 88),
        (elementary.tanh, np.tanh, -12, 12),
        (elementary.sigmoid, lambda u: 1 / (1 + np.exp(-u)), -87, 100),
        (elementary.log1p, np.log1p, 0, 1),
    ],
)
def test_elementary_functions_are_right_to_two_units_of_the_last_digit(fast, exact, low, high):
    near_0 = np.geomspace(1e-20, 1, 300)
    u = np.concatenate([np.linspace(low, high, 3001), near_0, -near_0 if low < 0 else near_0]).astype(np.float32)
    np.testing.assert_allclose([fast(v) for v in u], exact(u.astype(np.float64)), rtol=2.4e-7, atol=0)


@pytest.mark.parametrize(("op", "settings"), KERNELS, ids=label)
def test_float32_kernels_are_right_everywhere(op, settings):
    x = np.concatenate([np.linspace(-120, 120, 48_001), np.geomspace(1e-30, 1, 500), -np.geomspace(1e-30, 1, 500), [1e4, -1e4]])
    x = x.astype(np.float32)
    dy = np.cos(np.arange(len(x))).astype(np.float32)
    phase = settings[0] * x if op is sine and settings else x  # ωx is rounded to float32, which moves a fast sine
    wide, wide_dy = (phase if op is sine else x).astype(np.float64), dy.astype(np.float64)
    exact, exact_cache = op.forward(wide, *(() if op is sine else settings))
    exact_dx = op.backward(wide_dy, exact_cache) * (settings[0] if op is sine and settings else 1)
    y, cache = op.forward(x, *settings)
    np.testing.assert_allclose(y, exact, rtol=6e-7, atol=3e-7)
    np.testing.assert_allclose(op.backward(dy, cache), exact_dx, rtol=1e-6, atol=1e-6 * np.abs(exact_dx).max())


@pytest.mark.parametrize(("op", "settings"), [*KERNELS, (hard_tanh, ())], ids=label)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_stays_where_it_is(op, settings, dtype, kernels):
    x = np.array([1.0, np.nan, -2.0], dtype)
    y, _ = op.forward(x, *settings)
    np.testing.assert_array_equal(np.isnan(y), [False, True, False])


def test_a_sine_far_out_keeps_its_digits(kernels):
    """From 2¹³ on, half turns are not taken off in float32; a row with such a number, or with a NaN, goes another way."""
    last = 2.0**13 - 0.5
    z = np.array([[3, 2.0**21, -3e30, 0.1], [0.5, 1, np.nan, -2], [last, -last, 5, 6], [-(2.0**13), 0, -7, 1e6]], np.float32)
    dy, wide = np.full_like(z, 0.5), z.astype(np.float64)
    kept, close = z.copy(), dict(rtol=0, atol=3e-7)
    np.testing.assert_allclose(sine.add_bias(kept, np.zeros(4, np.float32)), np.sin(wide), **close)
    np.testing.assert_array_equal(kept, z)
    for dz in (sine.backward_bias(dy, kept)[0], sine.backward(dy, sine.forward(z)[1])):
        np.testing.assert_allclose(dz, 0.5 * np.cos(wide), **close)
    long = np.tile(z.ravel(), 400)  # several blocks
    long[5000:] = 0.25
    np.testing.assert_allclose(sine.forward(long)[0], np.sin(long.astype(np.float64)), **close)


class TestSoftmaxes:
    def test_masked_entries_get_exactly_nothing(self, kernels):
        x = np.array([[1, -np.inf, 2, -np.inf]], np.float32)
        y, cache = softmax.forward(x)
        assert (y[0, [1, 3]] == 0).all()
        assert (softmax.backward(np.array([[1, 2, 3, 4]], np.float32), cache)[0, [1, 3]] == 0).all()
        log_y, _ = log_softmax.forward(x)
        np.testing.assert_array_equal(log_y[0, [1, 3]], -np.inf)
        np.testing.assert_allclose(np.exp(log_y), y, rtol=1e-6)

    @pytest.mark.parametrize("op", [softmax, log_softmax])
    def test_a_nan_spoils_its_own_row_only(self, op, kernels):
        x = np.zeros((3, 5), np.float32)
        x[1, 2] = np.nan
        y, _ = op.forward(x)
        np.testing.assert_array_equal(np.isnan(y).all(axis=1), [False, True, False])
        assert np.isfinite(y[[0, 2]]).all()

    @pytest.mark.parametrize("op", [softmax, log_softmax])
    @pytest.mark.parametrize("columns", [1, 3, 250])
    def test_large_inputs_keep_their_digits(self, op, columns, rng, kernels):
        x = (1e4 + rng.integers(-64, 64, size=(7, columns)) / 8).astype(np.float32)
        dy = rng.normal(size=x.shape).astype(np.float32)
        (y, cache), (exact, exact_cache) = op.forward(x), op.forward(x.astype(np.float64))
        np.testing.assert_allclose(y, exact, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(op.backward(dy, cache), op.backward(dy.astype(np.float64), exact_cache), rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
class TestKinks:
    """One documented convention each, in the kernels as in the plain forms."""

    def slope(self, op, x, dtype, *settings):
        x = np.full(4, x, dtype)
        gradients = op.backward(np.ones(4, dtype), op.forward(x, *settings)[1])
        return gradients[0] if isinstance(gradients, tuple) else gradients

    def test_leaky_rectifiers_have_their_negative_slope_at_0(self, dtype, kernels):
        np.testing.assert_allclose(self.slope(leaky_relu, 0, dtype, 0.3), 0.3, rtol=1e-6)
        np.testing.assert_allclose(self.slope(rrelu, 0, dtype, np.full(4, 0.3, dtype)), 0.3, rtol=1e-6)
        np.testing.assert_allclose(self.slope(prelu, 0, dtype, np.full(1, 0.3, dtype)), 0.3, rtol=1e-6)

    def test_exponential_units_have_their_negative_slope_at_0(self, dtype, kernels):
        np.testing.assert_allclose(self.slope(elu, 0, dtype, 0.5), 0.5, rtol=1e-6)
        np.testing.assert_allclose(self.slope(selu, 0, dtype), selu.SCALE * selu.ALPHA, rtol=1e-6)

    def test_hard_tanh_is_flat_at_both_bounds(self, dtype, kernels):
        np.testing.assert_array_equal(self.slope(hard_tanh, 1, dtype), 0)
        np.testing.assert_array_equal(self.slope(hard_tanh, -1, dtype), 0)


def test_selu_keeps_mean_0_and_variance_1():
    x = np.linspace(-12, 12, 200_001)
    share = np.exp(-0.5 * x * x) / np.exp(-0.5 * x * x).sum()
    y, _ = selu.forward(x)
    assert abs((share * y).sum()) < 1e-9
    assert abs((share * y * y).sum() - 1) < 1e-9


def test_the_two_gelus_are_close_but_not_the_same():
    x = np.linspace(-6, 6, 10_001)
    gap = np.abs(gelu.forward(x)[0] - gelu_tanh.forward(x)[0]).max()
    assert 4e-4 < gap < 5e-4


def test_glu_gates_the_first_half_by_the_second():
    x = np.array([[3.0, 5.0, 100.0, -100.0]])
    np.testing.assert_allclose(glu.forward(x)[0], [[3, 0]], atol=1e-12)


@pytest.mark.parametrize("layer", WITHOUT_PARAMETERS, ids=repr)
class TestLayersWithoutParameters:
    def test_backward_is_the_derivative_of_predict(self, layer, rng, kernels):
        x = rng.uniform(0.05, 0.35, (3, 4)) * rng.choice([-1, 1], (3, 4))
        y = layer(x)
        dy = rng.normal(size=y.shape)
        assert relative_error(layer.backward(dy), numerical_gradient(lambda v: float((dy * layer.predict(v)).sum()), x)) < TOLERANCE
        assert layer.backward(dy, params=False) is not None
        assert layer.backward(dy, inputs=False) is None

    def test_predict_equals_forward_and_keeps_the_cache(self, layer, rng, kernels):
        x = rng.normal(size=(3, 4)).astype(np.float32)
        y = layer(x)
        dy = rng.normal(size=y.shape).astype(np.float32)
        dx = layer.backward(dy)
        np.testing.assert_array_equal(layer.predict(x), y)
        layer.predict(rng.normal(size=(2, 4)).astype(np.float32))
        np.testing.assert_array_equal(layer.backward(dy), dx)

    @pytest.mark.parametrize("shape", [(0, 4), (2, 0, 6), (0,)])
    def test_empty(self, layer, shape, kernels):
        x = np.zeros(shape, np.float32)
        y = layer(x)
        assert y.size == 0
        assert layer.backward(y).shape == shape
        assert dict(layer.named_parameters()) == {}


class TestPReLU:
    def test_state_is_that_of_pytorch(self):
        assert {name: p.shape for name, p in layers.PReLU(3).state_dict().items()} == {"weight": (3,)}
        np.testing.assert_array_equal(layers.PReLU().weight.data, np.float32([0.25]))
        layer = layers.PReLU(2)
        layer.load_state_dict({"weight": np.array([0.5, -1.0])})
        np.testing.assert_array_equal(layer.predict(np.array([[-2.0, -2.0], [4.0, 4.0]], np.float32)), [[-1, 2], [4, 4]])

    @pytest.mark.parametrize(("count", "shape"), [(1, (6,)), (1, (4, 3)), (3, (4, 3)), (3, (2, 3, 4)), (1, (2, 3, 4))])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_gradients(self, count, shape, dtype, rng, kernels):
        layer = layers.PReLU(count, dtype=dtype)
        layer.weight.data[...] = rng.normal(size=count)
        x, dy = rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)
        layer(x)
        dx = layer.backward(dy)
        slopes = layer.weight.data if count == 1 else layer.weight.data.reshape(-1, *(1,) * (len(shape) - 2))
        np.testing.assert_allclose(dx, np.where(x > 0, dy, slopes * dy), rtol=1e-6)
        share = np.where(x > 0, 0, dy * x)
        expected = share.sum() if count == 1 else np.moveaxis(share, 1, 0).reshape(count, -1).sum(axis=1)
        np.testing.assert_allclose(layer.weight.grad, np.broadcast_to(expected, count), rtol=1e-5)
        layer.backward(dy)
        np.testing.assert_allclose(layer.weight.grad, np.broadcast_to(2 * expected, count), rtol=1e-5)

    def test_skips_either_side(self, rng):
        layer, x = layers.PReLU(), rng.normal(size=(4, 3)).astype(np.float32)
        layer(x)
        assert layer.backward(x, params=False) is not None
        assert layer.weight.grad[0] == 0
        assert layer.backward(x, inputs=False) is None
        assert layer.weight.grad[0] != 0

    @pytest.mark.parametrize(("count", "shape"), [(1, (0,)), (4, (0, 4)), (1, (0, 4)), (3, (2, 3, 0))])
    def test_empty(self, count, shape, kernels):
        layer, x = layers.PReLU(count), np.zeros(shape, np.float32)
        assert layer(x).shape == shape
        assert layer.backward(x).shape == shape
        np.testing.assert_array_equal(layer.weight.grad, 0)

    @pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 4, 3)])
    def test_refuses_channels_that_do_not_fit(self, shape):
        with pytest.raises(ValueError, match=r"expected input of shape \(B, 3, …\), given"):
            layers.PReLU(3)(np.zeros(shape, np.float32))

    def test_refuses_bad_settings(self):
        with pytest.raises(ValueError, match="expected a positive num_parameters, given 0"):
            layers.PReLU(0)
        with pytest.raises(ValueError, match="expected a finite init, given nan"):
            layers.PReLU(init=math.nan)
        with pytest.raises(ValueError, match="at least one axis"):
            layers.PReLU()(np.array(1.0))

    def test_repr(self):
        assert repr(layers.PReLU(3)) == "PReLU(3)"
        assert isinstance(layers.PReLU().weight, Parameter)


class TestRReLU:
    def test_every_element_draws_its_own_slope(self, rng, kernels):
        layer, x = layers.RReLU(0.1, 0.4, rng=rng), np.full((50, 40), -1.0, np.float32)
        slopes = -layer(x)
        assert slopes.dtype == np.float32
        assert len(np.unique(slopes)) > 1900
        assert slopes.min() >= 0.1
        assert slopes.max() <= 0.4
        assert abs(slopes.mean() - 0.25) < 0.01
        np.testing.assert_allclose(layer.backward(np.ones_like(x)), slopes)  # the same slopes on the way back
        assert (layer(x) != -slopes).mean() > 0.99
        np.testing.assert_array_equal(layer(-x), -x)

    def test_predict_takes_the_mean_slope_and_draws_nothing(self, kernels):
        layer, twin = (layers.RReLU(0.1, 0.5, rng=np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_allclose(layer.predict(np.array([-2.0, 3.0])), [-0.6, 3])
        x = np.full(9, -1.0)
        np.testing.assert_array_equal(layer(x), twin(x))

    def test_default_bounds_are_those_of_pytorch(self):
        assert (layers.RReLU().lower, layers.RReLU().upper) == (1 / 8, 1 / 3)
        assert repr(layers.RReLU(0.1, 0.4)) == "RReLU(0.1, 0.4)"

    def test_a_deep_copy_draws_the_same(self, rng):
        layer, x = layers.RReLU(rng=rng), np.full(9, -1.0, np.float32)
        np.testing.assert_array_equal(copy.deepcopy(layer)(x), layer(x))

    def test_empty_and_inputs_false(self, kernels):
        layer, x = layers.RReLU(), np.zeros((0, 4), np.float32)
        assert layer(x).shape == (0, 4)
        assert layer.backward(x).shape == (0, 4)
        assert layer.backward(x, inputs=False) is None

    @pytest.mark.parametrize("bounds", [(0.3, 0.2), (math.nan, 1), (0, math.inf)])
    def test_refuses_bad_bounds(self, bounds):
        with pytest.raises(ValueError, match="expected finite lower <= upper, given"):
            layers.RReLU(*bounds)


@pytest.mark.parametrize("shape", [(4, 3), (1,), ()])
def test_glu_refuses_what_it_cannot_halve(shape):
    with pytest.raises(ValueError, match="an even last axis, given"):
        layers.GLU()(np.zeros(shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.LeakyReLU(math.nan), "expected a finite negative_slope, given nan"),
        (lambda: layers.ELU(-1.0), "expected a finite alpha >= 0, given -1.0"),
        (lambda: layers.ELU(math.nan), "expected a finite alpha >= 0, given nan"),
        (lambda: layers.Hardtanh(1.0, 1.0), "expected min_val < max_val, given 1.0 and 1.0"),
        (lambda: layers.GELU("erf"), 'expected approximate "none" or "tanh", given \'erf\''),
        (lambda: layers.Sine(math.inf), "expected a finite omega, given inf"),
    ],
)
def test_refuses_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_repr_shows_the_settings():
    assert [repr(layers.Tanh()), repr(layers.ELU(0.5)), repr(layers.Hardtanh())] == ["Tanh()", "ELU(0.5)", "Hardtanh(-1.0, 1.0)"]


@pytest.mark.parametrize("make", [layers.Softmax, layers.LogSoftmax, layers.GLU])
@pytest.mark.parametrize("dim", [0, 1, -2, 2])
def test_an_activation_along_another_axis(make, dim, rng):
    last, other, x = make(), make(dim), rng.normal(size=(4, 6, 2))
    expected = last(x.swapaxes(dim, -1))
    np.testing.assert_array_equal(other(x), expected.swapaxes(dim, -1))
    np.testing.assert_array_equal(other.predict(x), expected.swapaxes(dim, -1))
    dy, vx = rng.normal(size=expected.shape), rng.normal(size=x.shape)
    np.testing.assert_array_equal(other.backward(dy.swapaxes(dim, -1)), last.backward(dy).swapaxes(dim, -1))
    np.testing.assert_array_equal(other.jvp(vx=vx), last.jvp(vx=vx.swapaxes(dim, -1)).swapaxes(dim, -1))
    with pytest.raises(ValueError, match=r"an axis 3, given shape \(4, 6, 2\)"):
        make(3)(x)


@pytest.mark.parametrize("make", [layers.ReLU, layers.SELU, layers.SiLU, layers.Mish, layers.LeakyReLU, layers.RReLU, Dropout])
def test_nothing_is_written_in_place(make):
    with pytest.raises(ValueError, match="expected inplace=False"):
        make(inplace=True)


@pytest.mark.parametrize("layer", [layers.ReLU(), layers.Tanh(), layers.Softmax(1), layers.PReLU(), layers.RReLU(), layers.GLU()])
@pytest.mark.parametrize("x", [[[1.0, 2.0]], np.ones((2, 2), np.uint8), np.ones((2, 2), bool)], ids=["list", "uint8", "bool"])
def test_only_arrays_of_floats_are_taken(layer, x):
    for call in (layer, layer.predict):
        with pytest.raises(TypeError, match=r"expected .*, given"):
            call(x)


def test_slopes_at_a_nan(kernels):
    x, dy = np.array([np.nan, 1.0, -1.0], np.float32), np.array([3.0, 3.0, 3.0], np.float32)
    for op, expected in ((relu, [3, 3, 0]), (hard_tanh, [3, 0, 0])):
        np.testing.assert_array_equal(op.backward(dy, op.forward(x)[1]), expected)


def test_gelu_tanh_has_a_slope_far_out(kernels):
    x = np.array([[30, 1e20, 3e38, -30, -1e20, -3e38]], np.float32)
    y, cache = gelu_tanh.forward(x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    np.testing.assert_array_equal(gelu_tanh.backward(np.ones_like(x), cache), [[1, 1, 1, 0, 0, 0]])


def test_gelu_chooses_its_form():
    x = np.array([1.0])
    np.testing.assert_array_equal(layers.GELU().predict(x), gelu.forward(x)[0])
    np.testing.assert_array_equal(layers.GELU("tanh").predict(x), gelu_tanh.forward(x)[0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_networks_of_every_named_activation(name, rng):
    net = mlp([3, 5, 2], ACTIVATIONS[name], rng=rng, dtype=np.float64)
    x, dy = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    net(x)
    dx = net.backward(dy)
    assert relative_error(dx, numerical_gradient(lambda v: float((dy * net.predict(v)).sum()), x)) < TOLERANCE
