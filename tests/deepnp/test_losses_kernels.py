"""Losses: what positions mean, and kernels on every type and on numbers at the edge."""

import inspect

import numpy as np
import pytest

from deepnp import losses
from deepnp.backend import use_kernels
from deepnp.cases import draw, tupled

# PyTorch's order, as far as ours is the same in place and meaning; whatever follows is keyword-only here.
POSITIONS = {
    "bce": ("p", "target"),
    "bce_with_logits": ("logits", "target"),
    "cosine": ("a", "b", "target", "margin"),
    "cross_entropy": ("logits", "target", "weight"),
    "cross_entropy_probabilities": ("p", "target", "weight"),
    "gaussian_nll": ("mean", "variance"),  # PyTorch's second is the target: ours has to be named
    "hinge": ("y", "target"),
    "hinge_embedding": ("y", "target", "margin"),
    "huber": ("y", "target"),
    "kl_divergence": ("log_q", "target"),
    "l1": ("y", "target"),
    "mse": ("y", "target"),
    "poisson_nll": ("y", "target", "log_input"),
    "rmse": ("y", "target"),
}


@pytest.mark.parametrize("loss", losses.CASES, ids=lambda f: f.__name__)
def test_positions_mean_what_they_mean_in_pytorch(loss):
    parameters = inspect.signature(loss).parameters.values()
    assert tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD) == POSITIONS[loss.__name__]


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, np.dtype(">f4")])
@pytest.mark.parametrize("loss", losses.CASES, ids=lambda f: f.__name__)
def test_types_that_no_kernel_knows_take_the_plain_form(loss, dtype):
    arguments = draw(losses.CASES[loss][0], np.random.default_rng(0))
    first = next(iter(arguments))
    expected, _ = loss(**arguments)
    arguments[first] = arguments[first].astype(dtype)
    with np.errstate(all="ignore"):
        value, dy = loss(**arguments)
    assert value == pytest.approx(expected, rel=2e-2, abs=2e-2)
    assert tupled(dy)[0].shape == arguments[first].shape


@pytest.mark.parametrize("case", [c for c in losses.CASES.items() if c[0].__name__ != "bce"], ids=lambda c: c[0].__name__)
def test_what_is_not_finite_or_at_the_edge_comes_out_of_a_kernel_as_of_the_plain_form(case):
    loss, cases = case
    big, small = np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal
    for edge in (np.inf, -np.inf, big, -big, 1e19, -1e19, small, -small, 1e-30, 0.0, -0.0, np.nan):
        arguments = draw(cases[0], np.random.default_rng(0), np.float32)
        arguments[next(iter(arguments))].flat[0] = edge
        results = []
        for kernels in (True, False):
            use_kernels(kernels)
            try:
                with np.errstate(all="ignore"):
                    value, dy = loss(**arguments)
                results.append((np.float32(value), *tupled(dy)))
            except ValueError as error:
                results.append(str(error))
            finally:
                use_kernels(True)
        fast, plain = results
        if isinstance(plain, str):
            assert fast == plain
        elif np.isfinite(plain[0]):
            for a, b in zip(fast, plain, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        else:  # the kernels sum in float64, which overflows later
            for a, b in zip(fast[1:], plain[1:], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
            assert np.isnan(fast[0]) == np.isnan(plain[0]) or not np.isnan(edge)


OPTIONS = {
    "huber": dict(delta=np.float64(0.5)),
    "bce_with_logits": dict(pos_weight=np.float64(2)),
    "bce": dict(eps=np.float64(1e-6)),
    "hinge_embedding": dict(margin=np.float64(0.5)),
    "cross_entropy": dict(label_smoothing=np.float64(0.1)),
    "cross_entropy_probabilities": dict(label_smoothing=np.float64(0.1), eps=np.float64(1e-6)),
    "gaussian_nll": dict(eps=np.float64(1e-3)),
    "poisson_nll": dict(eps=np.float64(1e-3)),
    "cosine": dict(margin=np.float64(0.1)),
}


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("loss", losses.CASES, ids=lambda f: f.__name__)
def test_numpys_numbers_do_not_decide_the_gradients_type(loss, kernels):
    use_kernels(kernels)
    try:
        for case in losses.CASES[loss]:
            arguments = draw(case, np.random.default_rng(0), np.float32) | OPTIONS.get(loss.__name__, {})
            value, dy = loss(**arguments)
            assert type(value) is float
            assert {part.dtype for part in tupled(dy)} == {np.dtype(np.float32)}
    finally:
        use_kernels(True)
