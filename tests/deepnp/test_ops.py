"""The op harness: every operation that has CASES goes through every check here, and every loss too. A new operation needs no new
test, only CASES, a derivation with a "Backward" line, and a naive reference (references/)."""

import inspect
import re
from contextlib import contextmanager

import numpy as np
import pytest

import deepnp
from deepnp import cases
from deepnp.backend import Kernel
from deepnp.cases import differentiable, draw, tupled, upstream
from deepnp.gradcheck import TOLERANCE, check_case, check_jvp, check_loss
from tests.deepnp.references import REFERENCES

OPS = {name.removeprefix("deepnp.ops."): op for name, op in cases.operations("deepnp.ops", "rl.networks", "rl.losses").items()}
LOSSES = cases.losses("deepnp.losses", "rl.losses", "rl.networks")
ALL = [pytest.param(name, i, id=f"{name}-{i}") for name, op in OPS.items() for i in range(len(op.CASES))]
ALL_LOSSES = [pytest.param(f, case, id=f"{name}-{i}") for name, (f, given) in LOSSES.items() for i, case in enumerate(given)]
BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture
def op(name):
    return OPS[name]


@pytest.fixture
def case(op, index):
    return op.CASES[index]


def run(op, arguments, rng):
    """Results and gradients, as tuples, of one forward and backward pass with a random upstream gradient; and the cache."""
    y, cache = op.forward(**arguments)
    return tupled(y), tupled(op.backward(upstream(y, rng), cache)), cache


def assert_all_close(given, expected, tolerance):
    for a, b in zip(tupled(given), tupled(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def with_and_without_kernels(function):
    """What function returns with fast kernels and with the plain forms."""
    try:
        fast = function()
        deepnp.use_kernels(False)
        return fast, function()
    finally:
        deepnp.use_kernels(True)


@pytest.mark.parametrize("name", OPS)
class TestForm:
    """An operation's file is a page that can be read."""

    def test_has_cases_an_empty_batch_and_a_reference(self, name, op):
        assert len(op.CASES) >= 2
        assert name in REFERENCES or name.startswith("rl."), f"tests/deepnp/references has none for {name}"
        assert any(0 in draw(case, np.random.default_rng(0))[differentiable(case)[0]].shape for case in op.CASES)

    def test_docstring_derives_forward_and_backward(self, name, op):
        assert "Forward" in op.__doc__
        assert "Backward" in op.__doc__

    def test_file_begins_with_the_mathematics(self, name, op):
        """Derivation, plain forward, backward and jvp; then kernels and fast forms, then the choice between them, then CASES."""
        source = inspect.getsource(op)
        pages = [source.index(f"def {function}(") for function in ("forward", "backward", "jvp")]
        kernels = [source.find(f"def {k.__name__}(") for k in vars(op).values() if isinstance(k, Kernel)]
        kernels = sorted(place for place in kernels if place >= 0)  # those of other files have no place here
        choices = [match.start() for match in re.finditer(r"= accelerated\(", source)]
        places = [*pages, *kernels, *choices, source.index("\nCASES")]
        assert places == sorted(places)
        assert source.count("\n") <= 400

    def test_public_functions_tell_shapes(self, name, op):
        for function in (op.forward, op.backward, op.jvp):
            assert function.__doc__, f"{name}.{function.__name__} has no docstring"
            assert "->" in function.__doc__


@pytest.mark.parametrize(("name", "index"), ALL)
class TestMathematics:
    def test_backward_is_the_derivative_of_forward(self, op, case, rng, kernels):
        for argument, error in check_case(op, case, rng).items():
            assert error < TOLERANCE, f"gradient of {argument} is off by {error:.1e}"

    def test_forward_equals_the_naive_loop(self, name, op, case, rng, kernels):
        arguments = draw(case, rng)
        if name in REFERENCES:
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

    def test_forward_mode_is_the_transpose_of_backward(self, op, case, rng, kernels):
        assert check_jvp(op, case, rng) < 1e-10


@pytest.mark.parametrize(("name", "index"), ALL)
class TestImplementation:
    @BOTH
    def test_keeps_the_dtype_and_the_shapes(self, op, case, rng, dtype, kernels):
        arguments = draw(case, rng, dtype)
        results, gradients, cache = run(op, arguments, rng)
        assert isinstance(cache, tuple)
        assert cache._fields, "a cache has named fields"
        assert all(y.dtype == dtype for y in results)
        for name, gradient in zip(differentiable(case), gradients, strict=True):
            assert gradient.dtype == dtype, name
            assert gradient.shape == arguments[name].shape, name

    @BOTH
    def test_kernels_agree_with_the_plain_form(self, op, case, dtype):
        both = []
        for enabled in (True, False):
            deepnp.use_kernels(enabled)
            rng = np.random.default_rng(1)
            results, gradients, _ = run(op, draw(case, rng, dtype), rng)
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


def wrong_shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Six shapes that are not this one: an axis dropped, halved, doubled, added; one element more; one that would broadcast."""
    if not shape:
        return [(1,), (2,), (1, 1)]
    *rest, last = shape
    wrong = [shape[1:], (*rest, last // 2), (*rest, 2 * last), (1, *shape), (*rest, last + 1), (1,) * len(shape)]
    return [other for other in wrong if other != shape]


def misshapen(values, rng):
    """Each copy of the values in which one of them has a wrong shape."""
    parts = tupled(values)
    for i, part in enumerate(parts):
        for shape in wrong_shapes(part.shape):
            wrong = rng.normal(size=shape).astype(part.dtype)
            given = (*parts[:i], wrong, *parts[i + 1 :])
            yield given if isinstance(values, tuple) else wrong


@pytest.mark.parametrize(("name", "index"), ALL)
class TestShapes:
    """What would make a kernel read or write beyond an array, or NumPy stretch it, is refused in words."""

    def test_a_wrong_upstream_gradient_is_refused(self, op, case, rng, kernels):
        y, cache = op.forward(**draw(case, rng, np.float32))
        for dy in misshapen(upstream(y, rng), rng):
            with pytest.raises(ValueError, match=r"expected .*, given"):
                op.backward(dy, cache)

    def test_a_wrong_tangent_is_refused(self, op, case, rng, kernels):
        arguments = draw(case, rng, np.float32)
        _, cache = op.forward(**arguments)
        v = upstream(tuple(arguments[name] for name in differentiable(case)), rng)
        for wrong in misshapen(v, rng):
            with pytest.raises(ValueError, match=r"expected .*, given"):
                op.jvp(*wrong, cache)


SPECIAL = {
    "nan": lambda info: np.nan,
    "inf": lambda info: np.inf,
    "-inf": lambda info: -np.inf,
    "denormal": lambda info: float(info.smallest_subnormal) * 1000,
    "smallest": lambda info: float(info.tiny),
    "largest": lambda info: float(info.max),
    "-largest": lambda info: -float(info.max),
    "huge": lambda info: float(info.max) ** 0.75,
}


def sprinkle(x, value, rng):
    """x with some elements replaced, one at least."""
    replaced = rng.random(x.shape) < 0.2
    replaced.flat[: x.size and 1] = True
    return np.where(replaced, x.dtype.type(value), x)


@BOTH
@pytest.mark.parametrize(("name", "index"), ALL)
def test_kernels_agree_with_the_plain_form_where_numbers_end(op, case, dtype):
    tolerance, first = 1e-5 if dtype == np.float32 else 1e-11, differentiable(case)[0]
    room = 2.0**20  # for sums: whether one of huge gradients overflows depends on the order of its terms
    values = {special: of(np.finfo(dtype)) for special, of in SPECIAL.items()}

    def of_special_inputs(value):
        rng = np.random.default_rng(2)
        arguments = draw(case, rng, dtype)
        results, gradients, _ = run(op, {**arguments, first: sprinkle(arguments[first], value, rng)}, rng)
        return [*results, *gradients]

    def of_special_upstream(value):
        rng = np.random.default_rng(2)
        y, cache = op.forward(**draw(case, rng, dtype))
        dy = tuple(sprinkle(part, value / room, rng) for part in tupled(upstream(y, rng)))
        return list(tupled(op.backward(dy if isinstance(y, tuple) else dy[0], cache)))

    def of_all(function):
        """What it gives of each special value, with fast kernels and with the plain forms."""
        fast, plain = with_and_without_kernels(lambda: [function(value) for value in values.values()])
        return ((special, pair) for special, *both in zip(values, fast, plain, strict=True) for pair in zip(*both, strict=True))

    with np.errstate(all="ignore"):
        for special, (fast, plain) in of_all(of_special_inputs):
            np.testing.assert_allclose(fast, plain, rtol=tolerance, atol=tolerance, err_msg=special)
        for special, (fast, plain) in of_all(of_special_upstream):
            np.testing.assert_array_equal(np.isfinite(fast), np.isfinite(plain), err_msg=special)
            value, finite = values[special], np.isfinite(plain)
            size = value / room if np.isfinite(value) and abs(value) > 1 else 1  # what large gradients leave of small ones is noise
            rest = fast[finite] / size, plain[finite] / size
            np.testing.assert_allclose(*rest, rtol=10 * tolerance, atol=10 * tolerance, err_msg=special)


@contextmanager
def refusal():
    """An operation may refuse a type, in words."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not re.search("expected .*, given", str(error)):
            raise


ODD_TYPES = {"float16": np.float16, "longdouble": np.longdouble, "swapped": np.dtype(np.float32).newbyteorder()}
WHOLE_TYPES = "int32", "int64", "uint8", "bool"


@pytest.mark.parametrize(("name", "index"), ALL)
class TestTypes:
    """A kernel is written for float32 and float64. Whatever else an operation takes, it computes as its plain form does."""

    def test_odd_floats_are_refused_or_take_the_plain_form(self, op, case):
        def passes(dtype):
            rng = np.random.default_rng(3)
            arguments = {
                name: value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
                for name, value in draw(case, rng, np.float32).items()
            }
            with refusal():
                y, cache = op.forward(**arguments)
                return [*tupled(y), *tupled(op.backward(upstream(y, rng), cache))]
            return []

        for odd_type, dtype in ODD_TYPES.items():  # of swapped bytes y is native: its kernels may run on that
            for a, b in zip(*with_and_without_kernels(lambda dtype=dtype: passes(dtype)), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5, err_msg=odd_type)

    def test_integers_are_refused_or_mean_what_they_say(self, op, case, rng, kernels):
        arguments, first = draw(case, rng), differentiable(case)[0]
        whole = rng.integers(0, 2, arguments[first].shape)
        expected = op.forward(**{**arguments, first: whole.astype(np.float64)})[0]
        for whole_type in WHOLE_TYPES:
            with refusal():
                y, _ = op.forward(**{**arguments, first: whole.astype(whole_type)})
                assert_all_close(y, expected, 1e-6 if tupled(y)[0].dtype == np.float64 else 2e-3)

    def test_an_upstream_gradient_of_another_type(self, op, case):
        def passes():
            rng = np.random.default_rng(4)
            y, cache = op.forward(**draw(case, rng, np.float32))
            dy = tuple(rng.normal(size=part.shape) for part in tupled(y))
            return list(tupled(op.backward(dy if isinstance(y, tuple) else dy[0], cache)))

        for a, b in zip(*with_and_without_kernels(passes), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("loss", "case"), ALL_LOSSES)
class TestLosses:
    """`loss(y, target, …) -> (value, dy)` or `(value, dy, info)`."""

    def test_gradient_is_the_derivative_of_the_value(self, loss, case, rng, kernels):
        for argument, error in check_loss(loss, case, rng).items():
            assert error < TOLERANCE, f"gradient of {argument} is off by {error:.1e}"

    @BOTH
    def test_kernels_agree_with_the_plain_form(self, loss, case, dtype):
        (value, dy, *_), (plain, plain_dy, *_) = with_and_without_kernels(
            lambda: loss(**draw(case, np.random.default_rng(1), dtype))
        )
        tolerance = 2e-6 if dtype == np.float32 else 1e-12
        assert value == pytest.approx(plain, rel=tolerance, abs=tolerance)
        assert_all_close(dy, plain_dy, tolerance)
        assert all(d.dtype == dtype for d in tupled(dy))

    def test_does_not_write_to_its_inputs(self, loss, case, rng, kernels):
        arguments = draw(case, rng)
        for value in arguments.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        loss(**arguments)


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
