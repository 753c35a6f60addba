"""The module harness: every public layer and model (`module_entries`) goes through every check here."""

import copy
import re

import numpy as np
import pytest

from deepnp import Linear, Module
from deepnp.cases import dot, tupled, upstream
from deepnp.gradcheck import TOLERANCE, check_module, relative_error
from tests.deepnp.module_entries import ENTRIES, public_modules


@pytest.fixture(params=ENTRIES)
def name(request):
    return request.param


@pytest.fixture
def entry(name):
    return ENTRIES[name]


@pytest.fixture
def module(entry, rng):
    """In float64, its parameters moved away from what they are at first: from γ = 1, and from biases of zero."""
    made = entry.make(rng).to(np.float64)
    for p in made.parameters():
        p.data[...] += 0.1 * rng.normal(size=p.shape)
    return made


@pytest.fixture
def x(entry, rng):
    return entry.draw(rng)


def test_every_public_module_has_an_entry():
    public, bases = public_modules()
    assert set(ENTRIES) <= public
    assert public - bases <= set(ENTRIES)


class TestDerivatives:
    def test_backward_is_the_derivative_of_forward(self, entry, module, x, kernels):
        if entry.constants:
            pytest.skip(f"constants: {entry.constants}")
        errors = check_module(module, *x)
        assert errors
        for name, error in errors.items():
            assert error < TOLERANCE, f"gradient of {name} is off by {error:.1e}"

    def test_jvp_is_the_transpose_of_backward(self, module, x, rng, kernels):
        y = module.forward(*x)
        dy = upstream(y, rng)
        module.zero_grad()
        dx = module.backward(dy)
        v, vx = rng.normal(size=sum(p.data.size for p in module.parameters())), None
        reverse = module.flat.grad @ v
        if dx is not None:
            parts = tuple(part for given in x for part in tupled(given))
            vx = upstream(parts, rng)
            reverse += dot(dx, vx)
            vx = vx if len(parts) > 1 else vx[0]
        forward = product(dy, module.jvp(v, vx))
        assert abs(forward - reverse) < 1e-10 * max(abs(reverse), 1e-3)
        if len(v):
            alone = product(dy, module.jvp(v))  # the input stays where it is
            assert abs(alone - module.flat.grad @ v) < 1e-10 * max(abs(alone), 1e-3)

    def test_parameters_or_inputs_can_be_left_out(self, module, x, rng, kernels):
        dy = upstream(module.forward(*x), rng)
        module.zero_grad()
        dx = module.backward(dy, params=False)
        assert not module.flat.grad.any()
        assert module.backward(dy, inputs=False) is None
        once = module.flat.grad.copy()
        for a, b in zip(tupled(module.backward(dy)), tupled(dx), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(module.flat.grad, 2 * once, rtol=1e-12, atol=1e-14)


def product(dy, vy) -> float:
    """⟨dy, vy⟩, where None stands for an output that does not move."""
    return sum(float((d * v).sum()) for d, v in zip(tupled(dy), tupled(vy), strict=True) if v is not None)


def altered(dy: np.ndarray) -> dict[str, np.ndarray]:
    """The gradient in shapes that are not its own; along the last axis that has more than one element."""
    axis = max(i for i, n in enumerate(dy.shape) if n > 1)
    n = dy.shape[axis]
    return {
        "an axis dropped": dy[0],
        "an axis added": dy[None],
        "halved": dy.take(range(n // 2), axis),
        "doubled": np.concatenate([dy, dy], axis),
        "one longer": np.concatenate([dy, dy.take([0], axis)], axis),
        "one shorter": dy.take(range(n - 1), axis),
        "one element, to be broadcast": dy.take([0], axis) if n > 2 else dy.reshape(-1)[:1],
    }


def refusal(method, *arguments, **settings) -> str:
    """The words of the ValueError with which a method refuses its arguments; empty if it takes them."""
    try:
        method(*arguments, **settings)
    except ValueError as error:
        return str(error)
    return ""


class TestWrongShapes:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_gradient_of_another_shape_is_refused(self, entry, rng, dtype, kernels):
        module, x = entry.make(rng).to(dtype), entry.draw(rng, dtype)
        dy = upstream(module.forward(*x), rng)
        module.zero_grad()
        for i, part in enumerate(tupled(dy)):
            for how, wrong in altered(part).items():
                given = tuple(wrong if i == j else d for j, d in enumerate(tupled(dy)))
                for settings in ({}, {"params": False}, {"inputs": False}) if module.parameters() else ({},):
                    words = refusal(module.backward, given if isinstance(dy, tuple) else given[0], **settings)
                    assert re.match("expected .*given", words), f"{how}, {settings}: {words or 'taken'}"
        assert not module.flat.grad.any()

    def test_a_gradient_of_an_earlier_pass_is_refused(self, entry, module, x, rng, kernels):
        dy = upstream(module.forward(*x), rng)
        module.forward(*entry.empty(rng, np.float64))
        with pytest.raises(ValueError, match=r"expected .*given"):
            module.backward(dy)

    def test_tangents_of_another_shape_are_refused(self, module, x, rng):
        module.forward(*x)
        size = sum(p.data.size for p in module.parameters())
        with pytest.raises(ValueError, match="expected"):
            module.jvp(np.ones(size + 1))
        floats = [part for given in x for part in tupled(given) if part.dtype.kind == "f"]
        if len(floats) == 1:
            for how, wrong in altered(floats[0]).items():
                assert "expected" in refusal(module.jvp, None, wrong), how


class TestState:
    def test_predict_equals_forward(self, entry, module, x, kernels):
        y = tupled(module.forward(*x))
        predicted = tupled(module.predict(*x))
        assert [part.shape for part in predicted] == [part.shape for part in y]
        if not entry.inference:
            for a, b in zip(predicted, y, strict=True):
                np.testing.assert_array_equal(a, b)

    def test_predict_leaves_the_last_pass_alone(self, entry, module, x, rng, kernels):
        dy = upstream(module.forward(*x), rng)
        dx = module.backward(dy)
        module.predict(*entry.draw(rng))
        for a, b in zip(tupled(module.backward(dy)), tupled(dx), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_a_deep_copy_is_another_module(self, module, x, rng):
        module.forward(*x)
        twin = copy.deepcopy(module)
        y, of_twin = module.forward(*x), twin.forward(*x)
        for a, b in zip(tupled(y), tupled(of_twin), strict=True):
            np.testing.assert_array_equal(a, b)
        dy, before = upstream(y, rng), {name: value.copy() for name, value in module.state_dict().items()}
        module.zero_grad()
        twin.backward(dy)
        assert not module.flat.grad.any()
        for p in twin.parameters():
            p.data[...] += 1
        for name, value in module.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    def test_the_state_goes_round(self, entry, module, x):
        other = entry.make(np.random.default_rng(7)).to(np.float64)
        module.forward(*x)  # running statistics are state too
        other.load_state_dict({name: value.copy() for name, value in module.state_dict().items()})
        for a, b in zip(tupled(other.predict(*x)), tupled(module.predict(*x)), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_without_a_forward_pass(self, module, x, rng):
        y = copy.deepcopy(module).forward(*x)
        with pytest.raises(RuntimeError, match="expected a forward before"):
            module.backward(upstream(y, rng))
        parts = tuple(part for given in x for part in tupled(given))
        vx = parts if len(parts) > 1 else parts[0]
        with pytest.raises(RuntimeError, match="expected a forward before"):
            module.jvp(np.ones(len(module.flat)), vx if parts[0].dtype.kind == "f" else None)


class TestNumbers:
    @pytest.mark.parametrize("wrong", [[[1.0, 2.0]], None, 3.0])
    def test_what_is_no_array_is_refused(self, entry, rng, wrong):
        module, x = entry.make(rng), entry.draw(rng)
        given = tuple(wrong for _ in x[0]) if isinstance(x[0], tuple) else wrong
        for method in (module.forward, module.predict):
            with pytest.raises(TypeError, match=rf"expected .+ to be an array, given {type(wrong).__name__}"):
                method(given, *x[1:])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_keeps_the_dtype(self, entry, rng, dtype, kernels):
        module = entry.make(rng).to(dtype)
        x = entry.draw(rng, dtype)
        y = module.forward(*x)
        dx = module.backward(y)
        for part in (*tupled(y), *tupled(module.predict(*x)), *(() if dx is None else tupled(dx))):
            assert part.dtype == dtype
        assert all(p.grad.dtype == dtype for p in module.parameters())

    def test_an_empty_batch(self, entry, rng, kernels):
        module = entry.make(rng)
        x = entry.empty(rng)
        y = module.forward(*x)
        module.zero_grad()
        dx = module.backward(y)
        assert all(part.size == 0 for part in tupled(y))
        if dx is not None:
            assert [part.shape for part in tupled(dx)] == [part.shape for given in x for part in tupled(given)]
        assert not module.flat.grad.any()
        assert all(part.size == 0 for part in tupled(module.predict(*x)))

    def test_does_not_write_to_what_it_is_given(self, module, x, rng, kernels):
        dy = upstream(copy.deepcopy(module).forward(*x), rng)
        for array in (*(part for given in x for part in tupled(given)), *tupled(dy)):
            array.flags.writeable = False
        module.forward(*x)
        module.backward(dy)
        module.predict(*x)


class TestCheckModule:
    """The check itself notices what is wrong."""

    def test_notices_every_wrong_gradient(self, rng):
        class Wrong(Linear):
            def __init__(self, what):
                super().__init__(4, 3, rng=rng)
                self.what = what

            def backward(self, dy, params=True, inputs=True):
                dx = super().backward(dy, params, inputs)
                if self.what == "weight":
                    self.weight.grad[0, 0] += 1e-3
                if self.what == "bias":
                    self.bias.grad *= 0
                return dx * 1.001 if self.what == "x" else dx

        x = rng.normal(size=(5, 4)).astype(np.float32)
        for what in ("x", "weight", "bias"):
            errors = check_module(Wrong(what), x)
            assert {name for name, error in errors.items() if error > TOLERANCE} == {what}

    def test_a_missing_or_misshaped_gradient_is_infinitely_wrong(self):
        class Silent(Module):
            def forward(self, x):
                return 2 * x

            def backward(self, dy, params=True, inputs=True):
                return None

            def predict(self, x):
                return 2 * x

        assert check_module(Silent(), np.ones(3)) == {"x": float("inf")}

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @pytest.mark.parametrize("what", ["dx", "y", "x"])
    def test_what_is_not_finite_is_infinitely_wrong(self, what, value, rng):
        """max(0, NaN) is 0: a gradient of NaN once passed for a right one."""

        class Spoiled(Module):
            def forward(self, x):
                return 2 * x + (value if what == "y" else 0)

            def backward(self, dy, params=True, inputs=True):
                return 2 * dy + (value if what == "dx" else 0)

            def predict(self, x):
                return 2 * x

        with np.errstate(invalid="ignore"):
            assert check_module(Spoiled(), rng.normal(size=3) + (value if what == "x" else 0)) == {"x": np.inf}

    def test_the_error_is_relative_to_the_largest_number(self):
        assert relative_error(np.array([3.0, 40.5]), np.array([2.0, 40.0])) == 1 / 40

    def test_takes_a_module_and_arrays(self):
        with pytest.raises(TypeError, match="expected a module to check, given <class"):
            check_module(Linear, np.ones((2, 3)))
        with pytest.raises(TypeError, match="expected each input to be an array, given list"):
            check_module(Linear(3, 2), [[1.0, 2.0, 3.0]])

    def test_leaves_the_module_as_it_is(self, rng):
        module, x = Linear(4, 3, rng=rng), rng.normal(size=(5, 4)).astype(np.float32)
        before = module.flat.data.copy()
        check_module(module, x)
        np.testing.assert_array_equal(module.flat.data, before)
        assert module.flat.data.dtype == np.float32
        assert not module.flat.grad.any()

    def test_further_arguments_are_passed_on(self, rng):
        x = rng.normal(size=(2, 3, 6))
        padding = np.array([[False, False, True], [False, False, False]])
        module = ENTRIES["MultiheadAttention"].make(rng)
        assert max(check_module(module, x, key_padding_mask=padding).values()) < TOLERANCE
