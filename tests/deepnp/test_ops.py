"""The op harness: every operation that has CASES goes through every check here. A new operation needs no new test,
only CASES, a derivation with a "Backward" line, and a naive reference (naive.py)."""

import inspect

import numpy as np
import pytest

import deepnp
from deepnp.backend import Kernel, cuda_available, to_device
from deepnp.cases import differentiable, draw
from deepnp.gradcheck import TOLERANCE, check_case
from deepnp.ops import find
from tests.deepnp.naive import REFERENCES

OPS = find()
ALL = [pytest.param(name, i, id=f"{name}-{i}") for name, op in OPS.items() for i in range(len(op.CASES))]


@pytest.fixture
def op(name):
    return OPS[name]


@pytest.fixture
def case(op, index):
    return op.CASES[index]


def gradients_of(op, dy, cache):
    gradients = op.backward(dy, cache)
    return gradients if isinstance(gradients, tuple) else (gradients,)


def run(op, arguments, upstream_rng):
    """y, gradients of one forward and backward pass with a random upstream gradient."""
    y, cache = op.forward(**arguments)
    dy = upstream_rng.normal(size=y.shape).astype(y.dtype)
    return y, gradients_of(op, dy, cache)


@pytest.mark.parametrize("name", OPS)
class TestForm:
    """An operation's file is a page that can be read."""

    def test_has_cases_an_empty_batch_and_a_reference(self, name, op):
        assert len(op.CASES) >= 2
        assert name in REFERENCES, f"tests/deepnp/naive.py has no reference for {name}"
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
        np.testing.assert_allclose(op.forward(**arguments)[0], REFERENCES[name](**arguments), rtol=1e-12, atol=1e-12)

    def test_gradients_are_linear_in_the_upstream_gradient(self, op, case, rng, kernels):
        y, cache = op.forward(**draw(case, rng))
        a, b = rng.normal(size=(2, *y.shape))
        sum_of_both = gradients_of(op, 2 * a - b, cache)
        for g, ga, gb in zip(sum_of_both, gradients_of(op, a, cache), gradients_of(op, b, cache), strict=True):
            np.testing.assert_allclose(g, 2 * ga - gb, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "index"), ALL)
class TestImplementation:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_keeps_the_dtype_and_the_shapes(self, op, case, rng, dtype, kernels):
        arguments = draw(case, rng, dtype)
        y, gradients = run(op, arguments, rng)
        assert y.dtype == dtype
        for name, gradient in zip(differentiable(case), gradients, strict=True):
            assert gradient.dtype == dtype, name
            assert gradient.shape == arguments[name].shape, name

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_kernels_agree_with_the_plain_form(self, op, case, dtype):
        results = []
        for enabled in (True, False):
            deepnp.use_kernels(enabled)
            rng = np.random.default_rng(1)
            y, gradients = run(op, draw(case, rng, dtype), rng)
            results.append((y, *gradients))
        deepnp.use_kernels(True)
        tolerance = 2e-6 if dtype == np.float32 else 1e-12
        for fast, plain in zip(*results, strict=True):
            np.testing.assert_allclose(fast, plain, rtol=tolerance, atol=tolerance)

    def test_does_not_write_to_its_inputs(self, op, case, rng, kernels):
        arguments = draw(case, rng)
        for value in arguments.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        y, cache = op.forward(**arguments)
        dy = rng.normal(size=y.shape)
        dy.flags.writeable = False
        once, twice = gradients_of(op, dy, cache), gradients_of(op, dy, cache)
        for a, b in zip(once, twice, strict=True):
            np.testing.assert_array_equal(a, b)  # and backward leaves its cache alone

    def test_takes_arrays_with_odd_strides(self, op, case, rng, kernels):
        arguments = draw(case, rng)
        y, cache = op.forward(**arguments)
        dy = rng.normal(size=y.shape)
        strided = {name: odd(value) if isinstance(value, np.ndarray) else value for name, value in arguments.items()}
        y_strided, cache_strided = op.forward(**strided)
        np.testing.assert_allclose(y_strided, y, rtol=1e-12, atol=1e-12)
        for a, b in zip(gradients_of(op, odd(dy), cache_strided), gradients_of(op, dy, cache), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)

    @pytest.mark.skipif(not cuda_available(), reason="no CuPy with a GPU here")
    def test_gpu_agrees_with_the_cpu(self, op, case, rng):
        arguments = draw(case, rng)
        y, cache = op.forward(**arguments)
        dy = rng.normal(size=y.shape)
        on_gpu = {name: to_device(v, "cuda") if isinstance(v, np.ndarray) else v for name, v in arguments.items()}
        y_gpu, cache_gpu = op.forward(**on_gpu)
        np.testing.assert_allclose(to_device(y_gpu, "cpu"), y, rtol=1e-10, atol=1e-12)
        for a, b in zip(gradients_of(op, to_device(dy, "cuda"), cache_gpu), gradients_of(op, dy, cache), strict=True):
            np.testing.assert_allclose(to_device(a, "cpu"), b, rtol=1e-10, atol=1e-12)


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
