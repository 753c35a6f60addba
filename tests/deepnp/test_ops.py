"""The op harness: every operation that has CASES goes through every check here. A new operation needs no new test,
only CASES, a derivation with a "Backward" line, and a naive reference (references/)."""

import inspect

import numpy as np
import pytest

import deepnp
from deepnp.backend import Kernel
from deepnp.cases import differentiable, draw, tupled, upstream
from deepnp.gradcheck import TOLERANCE, check_case, check_jvp
from deepnp.ops import find
from tests.deepnp.references import REFERENCES

OPS = find()
ACTIVATIONS = ["relu", "leaky_relu", "prelu", "rrelu", "elu", "selu", "tanh", "hard_tanh", "sigmoid", "softplus", "gelu"]
ACTIVATIONS += ["gelu_tanh", "silu", "mish", "sine", "glu", "softmax", "log_softmax"]
NORMS = ["layer_norm", "batch_norm", "rms_norm", "group_norm"]
FORWARD_MODE = {"linear", "regularization.dropout"}  # what policies and critics use
FORWARD_MODE |= {f"activation.{name}" for name in ACTIVATIONS} | {f"normalization.{name}" for name in NORMS}
ALL = [pytest.param(name, i, id=f"{name}-{i}") for name, op in OPS.items() for i in range(len(op.CASES))]


@pytest.fixture
def op(name):
    return OPS[name]


@pytest.fixture
def case(op, index):
    return op.CASES[index]


def run(op, arguments, rng):
    """Results and gradients, as tuples, of one forward and backward pass with a random upstream gradient."""
    y, cache = op.forward(**arguments)
    return tupled(y), tupled(op.backward(upstream(y, rng), cache))


def assert_all_close(given, expected, tolerance):
    for a, b in zip(tupled(given), tupled(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", OPS)
class TestForm:
    """An operation's file is a page that can be read."""

    def test_has_cases_an_empty_batch_and_a_reference(self, name, op):
        assert len(op.CASES) >= 2
        assert name in REFERENCES, f"tests/deepnp/references has none for {name}"
        assert any(0 in draw(case, np.random.default_rng(0))[differentiable(case)[0]].shape for case in op.CASES)

    def test_docstring_derives_forward_and_backward(self, name, op):
        assert "Forward" in op.__doc__
        assert "Backward" in op.__doc__

    def test_file_runs_forward_backward_kernels_cases(self, name, op):
        source = inspect.getsource(op)
        kernels = [source.index(f"def {k.__name__}(") for k in vars(op).values() if isinstance(k, Kernel)]
        places = [source.index("def forward("), source.index("def backward("), *sorted(kernels), source.index("\nCASES")]
        assert places == sorted(places)
        assert source.count("\n") <= 400

    def test_public_functions_tell_shapes(self, name, op):
        for function in (op.forward, op.backward):
            assert function.__doc__, f"{name}.{function.__name__} has no docstring"
            assert "->" in function.__doc__


@pytest.mark.parametrize(("name", "index"), ALL)
class TestMathematics:
    def test_backward_is_the_derivative_of_forward(self, op, case, rng, kernels):
        for argument, error in check_case(op, case, rng).items():
            assert error < TOLERANCE, f"gradient of {argument} is off by {error:.1e}"

    def test_forward_equals_the_naive_loop(self, name, op, case, rng, kernels):
        arguments = draw(case, rng)
        assert_all_close(op.forward(**arguments)[0], REFERENCES[name](**arguments), 1e-12)

    def test_gradients_are_linear_in_the_upstream_gradient(self, op, case, rng, kernels):
        y, cache = op.forward(**draw(case, rng))
        a, b = upstream(y, rng), upstream(y, rng)
        mixed = tuple(2 * p - q for p, q in zip(tupled(a), tupled(b), strict=True))
        of_a, of_b = tupled(op.backward(a, cache)), tupled(op.backward(b, cache))
        of_mixed = op.backward(mixed if isinstance(y, tuple) else mixed[0], cache)
        expected = tuple(2 * p - q for p, q in zip(of_a, of_b, strict=True))
        for g, e in zip(tupled(of_mixed), expected, strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-9, atol=1e-11)

    def test_forward_mode_is_the_transpose_of_backward(self, name, op, case, rng, kernels):
        if not hasattr(op, "jvp"):
            assert name not in FORWARD_MODE
            pytest.skip("has no forward mode")
        assert check_jvp(op, case, rng) < 1e-10


@pytest.mark.parametrize(("name", "index"), ALL)
class TestImplementation:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_keeps_the_dtype_and_the_shapes(self, op, case, rng, dtype, kernels):
        arguments = draw(case, rng, dtype)
        results, gradients = run(op, arguments, rng)
        assert all(y.dtype == dtype for y in results)
        for name, gradient in zip(differentiable(case), gradients, strict=True):
            assert gradient.dtype == dtype, name
            assert gradient.shape == arguments[name].shape, name

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_kernels_agree_with_the_plain_form(self, op, case, dtype):
        both = []
        for enabled in (True, False):
            deepnp.use_kernels(enabled)
            rng = np.random.default_rng(1)
            results, gradients = run(op, draw(case, rng, dtype), rng)
            both.append((*results, *gradients))
        deepnp.use_kernels(True)
        assert_all_close(*both, 2e-6 if dtype == np.float32 else 1e-12)

    def test_does_not_write_to_its_inputs(self, op, case, rng, kernels):
        arguments = draw(case, rng)
        y, _ = op.forward(**arguments)
        dy = upstream(y, rng)
        for value in (*arguments.values(), *tupled(dy)):
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        _, cache = op.forward(**arguments)
        for a, b in zip(tupled(op.backward(dy, cache)), tupled(op.backward(dy, cache)), strict=True):
            np.testing.assert_array_equal(a, b)  # and backward leaves its cache alone

    def test_takes_arrays_with_odd_strides(self, op, case, rng, kernels):
        arguments = draw(case, rng)
        y, cache = op.forward(**arguments)
        dy = upstream(y, rng)
        strided = {name: odd(value) if isinstance(value, np.ndarray) else value for name, value in arguments.items()}
        odd_dy = tuple(odd(part) for part in tupled(dy))
        y_strided, cache_strided = op.forward(**strided)
        assert_all_close(y_strided, y, 1e-12)
        given = op.backward(odd_dy if isinstance(dy, tuple) else odd_dy[0], cache_strided)
        assert_all_close(given, op.backward(dy, cache), 1e-12)


def odd(x: np.ndarray) -> np.ndarray:
    """The same values, every other element of a larger array read backwards along its last axis."""
    if x.ndim == 0:
        return x
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    view = wide[..., 2 * x.shape[-1] - 1 :: -2] if x.shape[-1] else wide[..., :0]
    view[...] = x
    return view


def test_odd_is_odd(rng):
    x = rng.normal(size=(3, 4))
    assert odd(x).strides == (72, -16)
    np.testing.assert_array_equal(odd(x), x)
