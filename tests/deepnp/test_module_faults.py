"""What a module is given, and what it refuses: in words, before anything is written or a kernel runs."""

import copy
import inspect

import numpy as np
import pytest

import deepnp
from deepnp import GELU, Fork, Heads, Join, LayerNorm, Linear, Module, Parameter, ParameterVector, ReLU, Residual, Sequential, Tanh
from deepnp.gradcheck import TOLERANCE, check_all, check_module
from deepnp.models import VAE, mlp
from deepnp.ops import dense
from deepnp.ops import mlp as op
from deepnp.ops.activation import relu, tanh
from deepnp.optim import Adam


class TestOneModuleAtOnePlace:
    """Its second use would overwrite what the first one keeps for backward."""

    BUILD = {
        "sequential": lambda a, b: Sequential(Linear(4, 4), a, Linear(4, 4), a),
        "nested": lambda a, b: Sequential(Sequential(Linear(4, 4), a), Residual(Sequential(a))),
        "a block": lambda a, b: Sequential(b, b),
        "part of a block": lambda a, b: Sequential(b, b[1]),
        "heads": lambda a, b: Heads(first=a, second=a),
        "fork": lambda a, b: Fork(Sequential(a), Sequential(a)),
        "residual": lambda a, b: Residual(b, b),
        "vae": lambda a, b: VAE(b, b),
    }

    @pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)
    @pytest.mark.parametrize("make", [GELU, Tanh, ReLU, lambda: LayerNorm(4), lambda: Linear(4, 4)])
    def test_two_are_refused(self, build, make):
        with pytest.raises(ValueError, match=r"a module of its own at each place.*given .* twice"):
            build(make(), Sequential(Linear(4, 4), Tanh()))

    def test_in_a_module_of_one_s_own_too(self):
        class Twice(Module):
            def __init__(self):
                self.first = Linear(4, 4)
                self.second = self.first

            def forward(self, x):
                return self.second.forward(self.first.forward(x))

            predict = forward

            def backward(self, dy, params=True, inputs=True):
                return self.first.backward(self.second.backward(dy, params), params, inputs)

        for use in (lambda: Twice().flat, lambda: Sequential(Twice()), lambda: Heads(a=Twice())):
            with pytest.raises(ValueError, match="twice"):
                use()

    def test_two_modules_may_share_a_parameter(self, rng, kernels):
        first, second = Linear(4, 4, rng=rng), Linear(4, 4, rng=rng)
        second.weight = first.weight
        net, x = Sequential(first, Tanh(), second), rng.normal(size=(5, 4))
        assert len(net.flat) == 16 + 4 + 4
        assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
        assert max(check_module(net, x).values()) < TOLERANCE
        net.to(np.float64).forward(x)
        dy, v = rng.normal(size=(5, 4)), rng.normal(size=24)
        net.zero_grad()
        net.backward(dy)
        assert (dy * net.jvp(v)).sum() == pytest.approx(net.flat.grad @ v, rel=1e-10)


class TestPasses:
    def test_backward_may_be_called_twice_and_belongs_to_the_last_forward(self, rng, kernels):
        net, x = mlp([4, 6, 3], rng=rng), rng.normal(size=(2, 5, 4)).astype(np.float32)
        net.forward(x[0])
        dy = net.forward(x[1]).copy()
        net.zero_grad()
        dx = net.backward(dy)
        once = net.flat.grad.copy()
        np.testing.assert_array_equal(net.backward(dy), dx)
        np.testing.assert_allclose(net.flat.grad, 2 * once, rtol=1e-6)
        fresh = copy.deepcopy(net)
        fresh.forward(x[1])
        np.testing.assert_array_equal(fresh.backward(dy), dx)

    def test_a_copy_has_made_no_pass(self, rng):
        net, x = mlp([4, 6, 3], rng=rng), rng.normal(size=(5, 4)).astype(np.float32)
        y = net.forward(x)
        with pytest.raises(RuntimeError, match=r"DenseStack.*expected a forward before backward or jvp"):
            copy.deepcopy(net).backward(y)

    def test_jvp_wants_a_direction(self, rng):
        net, x = Sequential(Linear(4, 3, rng=rng)), rng.normal(size=(5, 4)).astype(np.float32)
        net.forward(x)
        with pytest.raises(ValueError, match="a direction in the parameters or in the input, given none"):
            net.jvp()
        with pytest.raises(ValueError, match=r"a tangent of shape \(15,\), given \(14,\)"):
            net.jvp(np.ones(14))
        join = Join()
        join.forward((x, x))
        with pytest.raises(ValueError, match="as there are no parameters"):
            join.jvp(np.ones(0))

    def test_a_branch_that_does_not_move_is_zero(self, rng):
        x = rng.normal(size=(5, 4))
        for axis in (None, -1):
            net = Sequential(Fork(Linear(4, 4, rng=rng), Tanh()), Join(axis)).to(np.float64)
            dy, v = rng.normal(size=net.forward(x).shape), rng.normal(size=20)
            net.zero_grad()
            net.backward(dy)
            assert (dy * net.jvp(v)).sum() == pytest.approx(net.flat.grad @ v, rel=1e-10)

    def test_a_module_without_forward_mode_says_so(self, rng):
        class Cube(Module):
            def forward(self, x):
                self._cache = x
                return x**3

            def backward(self, dy, params=True, inputs=True):
                return 3 * dy * self.cache**2

            def predict(self, x):
                return x**3

        x = rng.normal(size=5)
        assert check_module(Cube(), x)["x"] < TOLERANCE
        with pytest.raises(RuntimeError, match="Cube"):
            Cube().backward(x)
        with pytest.raises(NotImplementedError, match="Cube has no jvp"):
            Cube().jvp(None, x)


class TestShapesAtTheKernelsDoor:
    """A compiled kernel reads and writes where it is told to: a wrong shape was a segmentation fault."""

    LAYOUT = op.Layout((8, 6, 5, 3), (tanh, relu, None))

    def given(self, rng):
        x = rng.normal(size=(64, 8)).astype(np.float32)
        return x, rng.normal(size=self.LAYOUT.size).astype(np.float32), self.LAYOUT

    def test_a_flat_gradient_for_a_column(self, kernels):
        net = Sequential(Linear(8, 64), Tanh(), Linear(64, 1))
        net.forward(np.zeros((4096, 8), np.float32))
        for wrong in ((4096,), (1, 4096), (4095, 1), (4096, 2), (4096, 1, 1)):
            with pytest.raises(ValueError, match=r"dy, shaped as y, of shape \(4096, 1\), given"):
                net.backward(np.ones(wrong, np.float32))
        with pytest.raises(TypeError, match="to be an array, given list"):
            net.backward([[1.0]] * 4096)

    def test_parameters_of_another_size(self, rng, kernels):
        x, parameters, layout = self.given(rng)
        for wrong in (parameters[:-1], np.append(parameters, parameters[:1]), parameters[None]):
            with pytest.raises(ValueError, match=r"and 107 parameters, given"):
                op.forward(x, wrong, layout)
        with pytest.raises(ValueError, match=r"input of shape \(…, 8\) .*given \(64, 7\)"):
            op.forward(x[:, :7], parameters, layout)

    def test_gradients_of_another_size_or_type(self, rng, kernels):
        x, parameters, layout = self.given(rng)
        y, cache = op.forward(x, parameters, layout)
        for wrong in (np.zeros(106, np.float32), np.zeros(108, np.float32), np.zeros((107, 1), np.float32)):
            with pytest.raises(ValueError, match=r"dparameters of shape \(107,\), given"):
                op.accumulate(y, cache, wrong, True)
        expected = op.backward(y, cache)[1]
        strided = np.zeros(214, np.float32)[::2]
        for gradient in (np.zeros(107), strided, np.zeros(107, ">f4")):  # no kernel takes these
            op.accumulate(y, cache, gradient, True)
            np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("dtype", [np.float16, ">f4", np.longdouble])
    def test_other_floats_take_the_plain_form(self, rng, kernels, dtype):
        x, parameters, layout = self.given(rng)
        y, cache = op.forward(x.astype(dtype), parameters, layout)
        expected, fast = op.forward(x, parameters, layout)
        np.testing.assert_allclose(y.astype(float), expected, rtol=1e-2, atol=1e-2)
        given = op.backward(expected.astype(dtype), cache)
        for a, b in zip(given, op.backward(expected, fast), strict=True):
            np.testing.assert_allclose(a.astype(float), b, rtol=3e-2, atol=3e-1)

    def test_the_kernel_s_values_serve_jvp_too(self, rng, kernels):
        x, parameters, layout = self.given(rng)
        vx, v = rng.normal(size=x.shape), rng.normal(size=layout.size)
        exact = op.jvp(vx, v, op.forward(x.astype(float), parameters.astype(float), layout)[1])
        given = op.jvp(vx.astype("f"), v.astype("f"), op.forward(x, parameters, layout)[1])
        assert given.dtype == np.float32
        np.testing.assert_allclose(given, exact, rtol=1e-4, atol=1e-3)

    def test_a_bias_of_another_size(self, rng, kernels):
        x, weight = rng.normal(size=(5, 7)).astype(np.float32), rng.normal(size=(3, 7)).astype(np.float32)
        for bias in (np.zeros(2, np.float32), np.zeros(4, np.float32), np.zeros(1, np.float32)):
            with pytest.raises(ValueError, match=r"bias of shape \(3,\), given"):
                dense.forward(x, weight, bias, tanh)

    def test_parameters_that_changed_their_type_meanwhile(self, rng, kernels):
        net, x = mlp([8, 6, 3], rng=rng), rng.normal(size=(64, 8)).astype(np.float32)
        y = net.forward(x)
        net.zero_grad()
        net.backward(y)
        expected = net.flat.grad.copy()
        net.to(np.float64)
        net.zero_grad()
        net.backward(y)
        np.testing.assert_allclose(net.flat.grad, expected, rtol=1e-4, atol=1e-5)


class TestTypes:
    @pytest.mark.parametrize("x", [[[1.0, 2.0]], np.ones((1, 2), int), np.ones((1, 2), bool), np.ones((1, 2), complex), 3.0])
    @pytest.mark.parametrize("make", [lambda: Linear(2, 3), lambda: mlp([2, 3, 1]), lambda: Residual(Linear(2, 2))])
    def test_only_arrays_of_floats_are_taken(self, make, x):
        for method in (make().forward, make().predict):
            with pytest.raises(TypeError, match=r"expected input (to be an array|of floating-point numbers), given"):
                method(x)

    @pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool, complex])
    def test_parameters_are_floats(self, dtype):
        net = mlp([4, 3, 2])
        before = net.flat.data.copy()
        with pytest.raises(TypeError, match="floating-point numbers, given"):
            net.to(dtype)
        np.testing.assert_array_equal(net.flat.data, before)
        with pytest.raises(TypeError, match="floating-point numbers, given"):
            Linear(4, 3, dtype=dtype)

    @pytest.mark.parametrize("state", ["net.safetensors", None, [np.ones(3)]])
    def test_a_state_is_arrays_by_name(self, state):
        with pytest.raises(TypeError, match=f"expected arrays by name, given {type(state).__name__}"):
            Linear(4, 3).load_state_dict(state)

    def test_none_is_no_dtype(self):
        """NumPy takes it for float64."""
        with pytest.raises(TypeError, match="expected a device or a dtype, given None"):
            Linear(4, 3).to(None)
        with pytest.raises(TypeError, match="to be an array, given list"):
            Parameter([1.0, 2.0])

    @pytest.mark.parametrize(
        ("value", "error", "message"),
        [
            (np.full((3, 4), np.nan, "f"), ValueError, 'finite values in "0.weight", given 12'),
            (np.full((3, 4), np.inf, "f"), ValueError, "finite values"),
            (np.full((3, 4), 1e300), ValueError, "finite values"),  # infinite in float32
            (np.ones((3, 4), int), TypeError, '"0.weight" of dtype float32, given int64'),
            (np.ones((3, 4), bool), TypeError, "given bool"),
            (np.ones((3, 4), complex), TypeError, "given complex128"),
            (np.full((3, 4), "1"), TypeError, "given <U1"),
            (np.full((3, 4), None), TypeError, "given object"),
            ([[1.0] * 4] * 3, TypeError, '"0.weight" to be an array, given list'),
        ],
    )
    def test_a_state_of_other_numbers_is_refused_whole(self, value, error, message):
        net = mlp([4, 3, 2])
        before = net.flat.data.copy()
        state = {name: array + 1 for name, array in net.state_dict().items()}
        with pytest.raises(error, match=message):
            net.load_state_dict({**state, "0.weight": value})
        np.testing.assert_array_equal(net.flat.data, before)
        net.load_state_dict({name: array.astype(np.float64) for name, array in state.items()})
        np.testing.assert_array_equal(net.flat.data, before + 1)

    def test_counters_stay_whole_numbers(self):
        norm = deepnp.BatchRenorm1d(3)
        state = {name: value.copy() for name, value in norm.state_dict().items()}
        counters = [name for name, value in state.items() if value.dtype.kind == "i"]
        for name in counters:
            with pytest.raises(TypeError, match="given float64"):
                norm.load_state_dict({**state, name: state[name] + 0.5})
        norm.load_state_dict(state)


class TestNothingToDo:
    def test_modules_without_parameters(self, rng):
        for net in (Tanh(), Sequential(Tanh(), GELU()), Residual(Tanh()), LayerNorm(4, elementwise_affine=False)):
            assert len(net.flat) == 0
            net.zero_grad()
            net.load_state_dict(net.state_dict())
            x = rng.normal(size=(5, 4))
            twin = net.to(np.float64).twin()
            np.testing.assert_array_equal(twin.forward(x), net.forward(x))
            np.testing.assert_array_equal(twin.backward(x), net.backward(x))
            Adam(net.flat).step()
            net.flat.check_finite(net.flat.grad, "gradient")
        assert len(ParameterVector({})) == 0

    def test_a_part_s_gradients_are_cleared_where_they_lie(self, rng):
        """Not in a vector of its own, which would leave the whole with a stale one."""
        net = mlp([4, 3, 2], rng=rng)
        vector = net.flat
        vector.grad[...] = 1
        net[0].zero_grad()
        assert net.flat is vector
        assert vector.grad.sum() == 8


class TestLinearWithoutBias:
    @pytest.mark.parametrize("activation", [Tanh, ReLU, GELU])
    def test_computes_without(self, rng, kernels, activation):
        net, x = (
            Sequential(Linear(4, 3, bias=False, rng=rng), activation(), Linear(3, 2, bias=False, rng=rng)),
            rng.normal(size=(5, 4)),
        )
        assert list(net.state_dict()) == ["0.weight", "2.weight"]
        assert max(check_module(net, x).values()) < TOLERANCE
        with_zeros = Sequential(Linear(4, 3, rng=rng), activation(), Linear(3, 2, rng=rng)).to(np.float64)
        with_zeros.load_state_dict({**with_zeros.state_dict(), **net.state_dict()})
        np.testing.assert_allclose(net.to(np.float64)(x), with_zeros(x), rtol=1e-12)

    def test_bias_may_be_an_initializer(self, rng):
        assert Linear(4, 3).bias.data.tolist() == Linear(4, 3, True).bias.data.tolist() == [0, 0, 0]
        assert Linear(4, 3, bias=deepnp.initializers.ones).bias.data.tolist() == [1, 1, 1]
        assert Linear(4, 3, False).bias is None

    def test_what_stands_elsewhere_in_pytorch_has_to_be_named(self):
        """torch.nn.Linear(in_features, out_features, bias=True, device=None, dtype=None)."""
        parameters = inspect.signature(Linear).parameters.values()
        assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == ["in_features", "out_features", "bias"]


class TestNamesOfOperations:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("layer_norm", {"normalization.layer_norm"}),
            ("normalization/layer_norm", {"normalization.layer_norm"}),
            ("deepnp/ops/normalization/layer_norm.py", {"normalization.layer_norm"}),
            ("../deepnp/ops/normalization/layer_norm.py", {"normalization.layer_norm"}),
            ("linear", {"linear"}),
            ("mse", {"losses.mse"}),
            ("losses.mse", {"losses.mse"}),
            ("deepnp/losses/similarity.py", {"losses.cosine"}),
        ],
    )
    def test_any_end_that_tells(self, given, meant):
        assert {check.op for check in check_all([given])} == meant

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("layernorm", "'layernorm': did you mean normalization.layer_norm"),
            ("norm", "no operation or loss is called 'norm'"),
            ("xyzzy", "is called 'xyzzy'$"),
        ],
    )
    def test_others_are_refused_with_the_nearest(self, given, message):
        with pytest.raises(ValueError, match=message):
            list(check_all([given]))


def test_inputs_by_keyword(rng):
    attention, x = deepnp.MultiheadAttention(4, 2, rng=rng), rng.normal(size=(2, 3, 4)).astype(np.float32)
    padding = np.zeros((2, 3), bool)
    np.testing.assert_array_equal(attention(x, key_padding_mask=padding), attention(x))


def test_public_names_are_listed_once():
    assert len(set(deepnp.__all__)) == len(deepnp.__all__)
    assert all(getattr(deepnp, name).__module__.startswith("deepnp") for name in deepnp.__all__)
    assert issubclass(deepnp.Sequential, Module)
