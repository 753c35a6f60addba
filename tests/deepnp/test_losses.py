"""Every loss goes through the same checks, as every operation does in test_ops; then what is particular to each."""

import inspect
import math

import numpy as np
import pytest

import deepnp
from deepnp import losses
from deepnp.cases import draw, tupled
from deepnp.gradcheck import TOLERANCE, check_loss
from tests.deepnp.references.losses import LOSSES

ALL = [pytest.param(f, c, id=f"{f.__name__}-{i}") for f, cases in losses.CASES.items() for i, c in enumerate(cases)]
INF, NAN = float("inf"), float("nan")


def array(*values, dtype=np.float64):
    return np.array(values, dtype)


@pytest.mark.parametrize("loss", losses.CASES, ids=lambda f: f.__name__)
def test_can_be_read(loss):
    assert len(losses.CASES[loss]) >= 2
    assert all(word in loss.__doc__ for word in ("Forward", "Backward", "->"))
    assert loss.__name__ in LOSSES


def test_every_public_loss_has_cases():
    assert {f.__name__ for f in losses.CASES} == set(losses.__all__) - {"CASES"}


@pytest.mark.parametrize(("loss", "case"), ALL)
class TestEveryLoss:
    def test_gradient_is_the_derivative_of_the_value(self, loss, case, rng, kernels):
        for name, error in check_loss(loss, case, rng).items():
            assert error < TOLERANCE, f"gradient of {name} is off by {error:.1e}"

    def test_value_equals_the_naive_loop(self, loss, case, rng, kernels):
        arguments = draw(case, rng)
        assert loss(**arguments)[0] == pytest.approx(LOSSES[loss.__name__](**arguments), rel=1e-12)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_keeps_the_dtype_and_the_shape(self, loss, case, rng, dtype, kernels):
        arguments = draw(case, rng, dtype)
        value, dy = loss(**arguments)
        assert type(value) is float
        for given, gradient in zip(arguments.values(), tupled(dy), strict=False):
            assert gradient.dtype == dtype
            assert gradient.shape == given.shape

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_kernels_agree_with_the_plain_form(self, loss, case, dtype):
        assert_kernels_agree(loss, draw(case, np.random.default_rng(1), dtype))

    def test_leaves_its_inputs_alone_and_takes_odd_strides(self, loss, case, rng, kernels):
        arguments = draw(case, rng)
        value, dy = loss(**arguments)
        strided = {name: np.repeat(v, 2, axis=-1)[..., ::2] if isinstance(v, np.ndarray) else v for name, v in arguments.items()}
        for v in strided.values():
            if isinstance(v, np.ndarray):
                v.flags.writeable = False
        again, dy_again = loss(**strided)
        assert again == pytest.approx(value, rel=1e-12)
        for a, b in zip(tupled(dy), tupled(dy_again), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-15)


def assert_kernels_agree(loss, arguments):
    tolerance = 2e-6 if next(iter(arguments.values())).dtype == np.float32 else 1e-12
    both = []
    for enabled in (True, False):
        deepnp.use_kernels(enabled)
        both.append(loss(**arguments))
    deepnp.use_kernels(True)
    (fast, dy_fast), (plain, dy_plain) = both
    assert fast == pytest.approx(plain, rel=tolerance)
    for a, b in zip(tupled(dy_fast), tupled(dy_plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


def distributions(rng, shape):
    e = np.exp(2 * rng.normal(size=shape))
    return (e / e.sum(axis=-1, keepdims=True)).astype(np.float32)


def large(rng, shape=(37, 53)) -> dict:
    """Arguments of every loss that has a kernel, of a size at which vector loops and their remainders run."""
    y, target = (5 * rng.normal(size=(2, *shape))).astype(np.float32)
    signs, bits = np.sign(target), (target > 0).astype(np.float32)
    labels, soft = rng.integers(shape[1], size=shape[0]), distributions(rng, shape)
    soft[0, :5] = 0
    variance = rng.uniform(0, 2, shape).astype(np.float32)
    return {
        losses.mse: dict(y=y, target=target),
        losses.l1: dict(y=y, target=target),
        losses.huber: dict(y=y, target=target),
        losses.hinge: dict(y=y, target=signs),
        losses.bce_with_logits: dict(logits=y, target=bits, pos_weight=2.0),
        losses.kl_divergence: dict(log_q=np.log(distributions(rng, shape)), target=soft),
        losses.gaussian_nll: dict(mean=y, variance=variance, target=target, eps=0.3),
        losses.cross_entropy: dict(logits=y, target=labels),
        "distribution": dict(logits=y, target=soft),
        "smoothed": dict(logits=y, target=labels, label_smoothing=0.1, weight=rng.uniform(0, 2, shape[1])),
    }


@pytest.mark.parametrize("key", large(np.random.default_rng(0)), ids=lambda key: getattr(key, "__name__", key))
def test_kernels_agree_on_long_arrays(key, rng):
    loss = losses.cross_entropy if isinstance(key, str) else key
    arguments = large(rng)[key]
    assert_kernels_agree(loss, arguments)
    exact = {n: v.astype(np.float64) if isinstance(v, np.ndarray) and v.dtype == np.float32 else v for n, v in arguments.items()}
    assert loss(**arguments)[0] == pytest.approx(loss(**exact)[0], rel=1e-6)


class TestExtremes:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_cross_entropy_of_large_logits(self, dtype, kernels):
        logits = array([1e4, -1e4, 0], [-1e4, 1e4, 0], [1e4, 1e4, 1e4], dtype=dtype)
        labels = np.array([0, 0, 2])
        value, dlogits = losses.cross_entropy(logits, labels)
        assert value == pytest.approx((0 + 2e4 + math.log(3)) / 3, rel=1e-6)
        np.testing.assert_allclose(3 * dlogits, [[0, 0, 0], [-1, 1, 0], [1 / 3, 1 / 3, -2 / 3]], atol=1e-6)
        smoothed, dlogits = losses.cross_entropy(logits, np.eye(3)[labels], label_smoothing=0.3)
        assert smoothed == pytest.approx((0.1 * (0 + 2e4 + 1e4) + 0.8 * 2e4 + 0.1 * 1e4 + math.log(3)) / 3, rel=1e-6)
        assert np.isfinite(dlogits).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_bce_of_large_logits(self, dtype, kernels):
        value, dlogits = losses.bce_with_logits(array(1e4, 1e4, -1e4, -1e4, dtype=dtype), array(1, 0, 1, 0, dtype=dtype))
        assert value == pytest.approx(2e4 / 4)
        np.testing.assert_allclose(dlogits, [0, 0.25, -0.25, 0], atol=1e-9)

    def test_small_losses_keep_their_digits(self, kernels):
        value, dlogits = losses.bce_with_logits(array(-15, dtype=np.float32), array(0, dtype=np.float32))
        assert value == pytest.approx(math.log1p(math.exp(-15)), rel=1e-5)
        assert dlogits[0] == pytest.approx(1 / (1 + math.exp(15)), rel=1e-5)

    def test_a_class_may_be_ruled_out(self, kernels):
        for dtype in (np.float32, np.float64):
            logits = array([-INF, 0, 1], dtype=dtype)
            for target in (np.array([1]), array([0, 1, 0])):
                value, dlogits = losses.cross_entropy(logits, target)
                assert value == pytest.approx(math.log(1 + math.e), rel=1e-6)
                assert dlogits[0, 0] == pytest.approx(0, abs=1e-30)
            log_q = array([-INF, math.log(0.5), math.log(0.5)], dtype=dtype)
            assert losses.kl_divergence(log_q, array([0, 1, 0]))[0] == pytest.approx(math.log(2), rel=1e-6)

    def test_certain_probabilities_have_finite_losses(self):
        for loss, target in ((losses.bce, array(1, 0)), (losses.cross_entropy_probabilities, array(1, 0))):
            value, dp = loss(array(0, 1), target)
            assert 10 < value < 40
            assert np.isfinite(dp).all()
            assert dp[0] < 0

    def test_no_length_and_no_variance(self, kernels):
        value, (da, db) = losses.cosine(np.zeros((1, 2)), np.ones((1, 2)))
        assert value == 1
        assert np.isfinite(da).all()
        np.testing.assert_array_equal(db, 0)
        for dtype in (np.float32, np.float64):
            value, (_, dvariance) = named_gaussian(*array([1], [0], [1.5], dtype=dtype), eps=0.01)
            assert value == pytest.approx((math.log(0.01) + 25) / 2, rel=1e-6)
            assert dvariance == 0  # below eps the loss does not depend on the variance

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("loss", [f for f in losses.CASES if f not in (losses.bce, losses.cross_entropy_probabilities)])
    def test_nan_is_passed_on(self, loss, dtype, kernels):
        arguments = draw(losses.CASES[loss][0], np.random.default_rng(0), dtype)
        first = next(iter(arguments))
        arguments[first].flat[0] = NAN
        value, dy = loss(**arguments)
        assert math.isnan(value)
        if loss not in (losses.hinge, losses.hinge_embedding, losses.kl_divergence):  # these have constant slopes
            assert np.isnan(tupled(dy)[0].flat[0])


class TestConventions:
    def test_values(self):
        y, target = array(1, 5), array(0.5, 1)
        assert losses.mse(y, target)[0] == pytest.approx((0.25 + 16) / 2)
        assert losses.rmse(y, target)[0] == pytest.approx(math.sqrt(8.125))
        assert losses.l1(y, target)[0] == pytest.approx(2.25)
        assert losses.huber(y, target, delta=1.0)[0] == pytest.approx((0.125 + 3.5) / 2)
        assert losses.cross_entropy(np.zeros((2, 4)), np.array([1, 3]))[0] == pytest.approx(math.log(4))
        assert losses.cosine(array([1, 0]), array([0, 2]))[0] == pytest.approx(1)
        assert losses.kl_divergence(np.log(array([0.5, 0.5])), array([1, 0]))[0] == pytest.approx(math.log(2))

    def test_at_the_kinks(self, kernels):
        np.testing.assert_array_equal(losses.l1(array(1, 2), array(1, 1))[1], [0, 0.5])
        assert losses.rmse(array(1, 2), array(1, 2))[0] == 0
        np.testing.assert_array_equal(losses.rmse(array(1, 2), array(1, 2))[1], 0)
        np.testing.assert_array_equal(losses.hinge(array(1, -1), array(1, -1))[1], 0)
        np.testing.assert_array_equal(losses.hinge_embedding(array(1, 1), array(1, -1))[1], [0.5, 0])
        np.testing.assert_array_equal(losses.cosine(array([1, 0]), array([0, 1]), array(-1))[1], 0)

    def test_both_hinges_are_what_they_are_called(self):
        y, target = array(0.3, 0.3), array(1, -1)
        assert losses.hinge(y, target)[0] == pytest.approx((0.7 + 1.3) / 2)
        assert losses.hinge_embedding(y, target)[0] == pytest.approx((0.3 + 0.7) / 2)

    def test_a_gradient_of_logits_moves_no_mass(self, rng, kernels):
        logits, labels = rng.normal(size=(6, 5)), rng.integers(5, size=6)
        for dtype in (np.float32, np.float64):
            _, dlogits = losses.cross_entropy(logits.astype(dtype), labels, rng.uniform(1, 2, 5), label_smoothing=0.1)
            np.testing.assert_allclose(dlogits.sum(axis=-1), 0, atol=1e-7)

    def test_fusing_softmax_is_the_chain_of_both(self, rng):
        from deepnp.ops.activation import softmax

        logits, labels = rng.normal(size=(6, 5)), rng.integers(5, size=6)
        p, cache = softmax.forward(logits)
        value, dp = losses.cross_entropy_probabilities(p, labels, eps=0)
        fused, dlogits = losses.cross_entropy(logits, labels)
        assert fused == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(dlogits, softmax.backward(dp, cache), rtol=1e-9, atol=1e-12)

    def test_weights_multiply_and_the_mean_counts_elements(self, rng, kernels):
        y, target = rng.normal(size=(2, 4))
        weight = array(0, 0, 4, 0)
        for loss in (losses.mse, losses.l1, losses.huber):
            alone, dy = loss(y[2:3], target[2:3])
            value, dy_weighted = loss(y, target, weight=weight)
            assert value == pytest.approx(alone)
            np.testing.assert_allclose(dy_weighted, [0, 0, dy[0], 0])

    def test_targets_of_another_type_leave_the_gradient_as_it_is(self, kernels):
        y = array(0.5, 0.25, dtype=np.float32)
        for target in (array(1, 0), np.array([1, 0]), np.array([True, False])):
            for loss in (losses.mse, losses.bce_with_logits, losses.bce, losses.l1):
                value, dy = loss(y, target)
                assert dy.dtype == np.float32
                assert value == pytest.approx(loss(y, target.astype(np.float32))[0])
        for kind in (np.int8, np.uint16, np.int32):
            assert losses.cross_entropy(np.eye(2, dtype=np.float32), np.array([0, 1], kind))[0] == pytest.approx(0.31326, rel=1e-4)


class TestMasks:
    def test_what_is_masked_is_not_read(self, rng, kernels):
        for dtype in (np.float32, np.float64):
            for loss, arguments in {
                losses.mse: dict(y=array(1, NAN, 2, dtype=dtype), target=array(0, 1, 1)),
                losses.l1: dict(y=array(1, 5, 2, dtype=dtype), target=array(0, NAN, 1)),
                losses.rmse: dict(y=array(1, 5, 2, dtype=dtype), target=array(0, NAN, 1)),
                losses.huber: dict(y=array(1, NAN, 2, dtype=dtype), target=array(0, 1, 1)),
                losses.bce: dict(p=array(0.1, 9, 0.2, dtype=dtype), target=array(0, 7, 1)),
                losses.bce_with_logits: dict(logits=array(0.1, NAN, 2, dtype=dtype), target=array(0, 7, 1)),
                losses.hinge: dict(y=array(0.1, NAN, 2, dtype=dtype), target=array(1, 0, -1)),
                losses.hinge_embedding: dict(y=array(0.1, NAN, 2, dtype=dtype), target=array(1, 0, -1)),
                losses.poisson_nll: dict(y=array(0.1, NAN, 2, dtype=dtype), target=array(1, -5, 1)),
                losses.gaussian_nll: dict(
                    mean=array(1, NAN, 2, dtype=dtype), variance=array(1, -1, 2, dtype=dtype), target=array(0, 1, 1)
                ),
                losses.cross_entropy: dict(logits=array([1, 2], [NAN, 0], [0, 3], dtype=dtype), target=np.array([0, -100, 1])),
                losses.cross_entropy_probabilities: dict(
                    p=array([0.1, 0.2], [NAN, 0], [0, 0.3], dtype=dtype), target=np.array([0, 5, 1])
                ),
                losses.kl_divergence: dict(
                    log_q=array([-1, -2], [9, 9], [-1, -3], dtype=dtype), target=array([1, 0], [5, 5], [0, 1])
                ),
                losses.cosine: dict(a=array([1, 2], [NAN, 0], [0, 3], dtype=dtype), b=np.ones((3, 2))),
            }.items():
                mask = np.array([True, False, True])
                value, dy = loss(**arguments, mask=mask)
                expected, dy_kept = loss(**{name: v[mask] for name, v in arguments.items()})
                assert value == expected
                for given, kept in zip(tupled(dy), tupled(dy_kept), strict=True):
                    np.testing.assert_array_equal(given[mask], kept)
                    np.testing.assert_array_equal(given[~mask], 0)

    @pytest.mark.parametrize("loss", losses.CASES, ids=lambda f: f.__name__)
    def test_refuses_masks_that_do_not_fit(self, loss):
        arguments = next(draw(c, np.random.default_rng(0)) for c in losses.CASES[loss] if "mask" in c)
        shape = arguments["mask"].shape
        with pytest.raises(ValueError, match="keeps something"):
            loss(**{**arguments, "mask": np.zeros(shape, bool)})
        with pytest.raises(ValueError, match="leading axes"):
            loss(**{**arguments, "mask": np.ones((shape[0] + 1, *shape[1:]), bool)})
        with pytest.raises(TypeError, match="Boolean mask, given int64"):
            loss(**{**arguments, "mask": np.ones(shape, np.int64)})


def named_gaussian(mean, variance, target, **options):
    return losses.gaussian_nll(mean, variance, target=target, **options)


LABELS = np.array([0, 1, 2])
BAD = [
    (losses.cross_entropy, (np.zeros((3, 3)), np.array([0, 3, 1])), ValueError, r"labels in \[0, 3\), given 3"),
    (losses.cross_entropy, (np.zeros((3, 3), np.float32), np.array([0, -1, 1])), ValueError, r"labels in \[0, 3\), given -1"),
    (losses.cross_entropy, (np.zeros((3, 3)), array(0, 1, 2)), TypeError, r"integer labels of shape \(3,\).*float64"),
    (losses.cross_entropy, (np.zeros((3, 3)), LABELS > 0), TypeError, "integer labels.*bool"),
    (losses.cross_entropy, (np.zeros((3, 3)), LABELS[:2]), ValueError, r"shape \(3,\).*given int64 of shape \(2,\)"),
    (losses.cross_entropy, (np.zeros((3, 3)), np.zeros((3, 4))), ValueError, r"floats of shape \(3, 3\).*\(3, 4\)"),
    (losses.cross_entropy, (np.zeros((3, 3)), np.zeros((3, 1))), ValueError, r"floats of shape \(3, 3\).*\(3, 1\)"),
    (losses.cross_entropy, (np.zeros((3, 3)), np.full((3, 3), 1.5)), ValueError, r"target probabilities in \[0, 1\], given 1.5"),
    (losses.cross_entropy, (np.zeros((3, 3)), LABELS, np.ones(2)), ValueError, r"weight of shape \(3,\).*given \(2,\)"),
    (losses.cross_entropy, (np.zeros((3, 3)), LABELS, -np.ones(3)), ValueError, "class weights.*given -1"),
    (losses.cross_entropy, (np.zeros((3, 3)), LABELS, np.zeros(3)), ValueError, "weight above 0"),
    (
        losses.cross_entropy,
        (np.zeros((3, 3)), LABELS, None, dict(label_smoothing=1.5)),
        ValueError,
        r"label_smoothing in \[0, 1\], given 1.5",
    ),
    (losses.cross_entropy, (np.zeros((0, 3)), LABELS[:0]), ValueError, r"at least one element, given shape \(0, 3\)"),
    (losses.cross_entropy, (np.zeros((3, 3), int), LABELS), TypeError, "floating-point.*int64"),
    (losses.cross_entropy_probabilities, (np.full((3, 3), 1.5), LABELS), ValueError, r"probabilities in \[0, 1\], given 1.5"),
    (losses.cross_entropy_probabilities, (np.full((3, 3), NAN), LABELS), ValueError, r"probabilities in \[0, 1\], given nan"),
    (losses.bce, (array(-0.1), array(1)), ValueError, r"probabilities in \[0, 1\], given -0.1"),
    (losses.bce, (array(0.5), array(2)), ValueError, r"targets in \[0, 1\], given 2"),
    (losses.bce_with_logits, (array(0.5), array(-1)), ValueError, r"targets in \[0, 1\], given -1"),
    (losses.bce_with_logits, (array(0.5), array(NAN)), ValueError, r"targets in \[0, 1\], given nan"),
    (losses.bce_with_logits, (array(0.5), array(1), dict(pos_weight=-1.0)), ValueError, "pos_weight >= 0, given -1"),
    (losses.bce_with_logits, (np.zeros((2, 3)), np.ones((2, 3)), dict(pos_weight=np.ones(2))), ValueError, "last axes of"),
    (losses.bce_with_logits, (np.zeros((2, 3)), np.ones((2, 3)), dict(pos_weight=-np.ones(3))), ValueError, "pos_weight in .*-1"),
    (losses.cross_entropy, (np.zeros((3, 3)), np.full((3, 3), 0.5), dict(ignore_index=-1)), ValueError, "integer labels with"),
    (losses.cross_entropy, (np.zeros((3, 3)), LABELS * 0, dict(ignore_index=0)), ValueError, "keeps something"),
    (losses.mse, (array(0, 1), array(0, 1), dict(weight=array(1))), ValueError, r"weight of y's shape \(2,\), given \(1,\)"),
    (losses.huber, (array(0.5), array(1), dict(delta=0.0)), ValueError, "delta > 0, given 0"),
    (losses.hinge, (array(0.5), array(0)), ValueError, "-1 or 1, given 0"),
    (losses.hinge_embedding, (array(0.5), array(0.5)), ValueError, "-1 or 1, given 0.5"),
    (losses.kl_divergence, (array([0.5]), array([1])), ValueError, "log-probabilities, at most 0, given 0.5"),
    (losses.kl_divergence, (array([-1]), array([-1])), ValueError, r"target probabilities in \[0, 1\], given -1"),
    (losses.kl_divergence, (array([-1]), array([1]), dict(mask=np.array([[True]]))), ValueError, "mask of rows"),
    (losses.gaussian_nll, (array(0), array(-1), dict(target=array(0))), ValueError, "variances in .*given -1"),
    (
        losses.gaussian_nll,
        (array(0, 1), array(1), dict(target=array(0, 1))),
        ValueError,
        r"variance and mean of one shape.*\(1,\) and \(2,\)",
    ),
    (losses.gaussian_nll, (array(0), array(1), dict(target=array(0), eps=0.0)), ValueError, "eps > 0, given 0"),
    (losses.poisson_nll, (array(0), array(-1)), ValueError, "counts in .*given -1"),
    (losses.poisson_nll, (array(-2), array(1), False), ValueError, "rates in .*given -2"),
    (losses.cosine, (np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 1))), ValueError, r"target of shape \(2,\), given \(2, 1\)"),
    (losses.cosine, (np.ones((1, 3)), np.ones((1, 3)), array(2)), ValueError, "-1 or 1, given 2"),
    (losses.cosine, (np.ones((1, 3)), np.ones((1, 3)), array(1), 2.0), ValueError, r"margin in \[-1, 1\], given 2"),
    (losses.cosine, (np.ones((1, 3)), np.ones((1, 3)), None, 0.0, dict(mask=np.array([[True] * 3]))), ValueError, "mask of rows"),
]


@pytest.mark.parametrize(("loss", "arguments", "error", "message"), BAD)
def test_refuses(loss, arguments, error, message, kernels):
    named = arguments[-1] if isinstance(arguments[-1], dict) else {}
    with pytest.raises(error, match=message):
        loss(*(x for x in arguments if x is not named), **named)


@pytest.mark.parametrize("loss", [f for f in losses.CASES if not f.__name__.startswith("cross")], ids=lambda f: f.__name__)
def test_refuses_silent_broadcasting_no_elements_and_integers(loss):
    extra = [np.ones(4)] if loss is losses.gaussian_nll else []
    loss = named_gaussian if extra else loss
    with pytest.raises(ValueError, match=r"one shape, given \(4,\) and \(4, 1\)"):
        loss(np.zeros(4), *extra, np.zeros((4, 1)))
    empty = [np.ones(0)] if extra else []
    with pytest.raises(ValueError, match="at least one element"):
        loss(np.zeros(0), *empty, np.zeros(0))
    with pytest.raises(TypeError, match="floating-point numbers to differentiate by, given int64"):
        loss(np.zeros(4, int), *extra, np.zeros(4))


@pytest.mark.parametrize("wrong", [[[0.5, 0.5]], None, 0.5])
@pytest.mark.parametrize("loss", losses.CASES, ids=lambda f: f.__name__)
def test_what_is_no_array_is_refused(loss, wrong):
    """Predictions and targets, each in its turn; masks, weights and settings are named."""
    names = [p.name for p in inspect.signature(loss).parameters.values() if p.default is p.empty]
    for place in names:
        given = {name: np.full((1, 2), 0.5) for name in names} | {place: wrong}
        with pytest.raises(TypeError, match=rf"expected .+ to be an array, given {type(wrong).__name__}"):
            loss(**given)
