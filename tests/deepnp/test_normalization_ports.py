"""Normalisations: what users of PyTorch bring along, rows of huge numbers, and rows of length 1."""

import numpy as np
import pytest

from deepnp.layers import BatchNorm1d, L2Norm, LayerNorm, RMSNorm
from deepnp.ops.normalization import batch_norm, batch_renorm, group_norm, layer_norm, rms_norm

F64 = np.float64


class TestSeveralAxes:
    @pytest.mark.parametrize("make", [LayerNorm, RMSNorm])
    def test_are_one_long_axis(self, make, rng):
        layer, flat = make((2, 3), eps=1e-5, dtype=F64), make(6, eps=1e-5, dtype=F64)
        for p, q in zip(layer.parameters(), flat.parameters(), strict=True):
            assert p.shape == (2, 3)
            q.data[...] = rng.normal(size=6)
            p.data[...] = q.data.reshape(2, 3)
        x, dy, vx = rng.normal(size=(3, 4, 5, 2, 3))
        rows = (4, 5, 6)
        np.testing.assert_array_equal(layer(x), flat(x.reshape(rows)).reshape(x.shape))
        np.testing.assert_array_equal(layer.predict(x), flat.predict(x.reshape(rows)).reshape(x.shape))
        np.testing.assert_array_equal(layer.backward(dy), flat.backward(dy.reshape(rows)).reshape(x.shape))
        np.testing.assert_array_equal(layer.flat.grad, flat.flat.grad)
        v = rng.normal(size=layer.flat.data.size)
        np.testing.assert_array_equal(layer.jvp(v, vx), flat.jvp(v, vx.reshape(rows)).reshape(x.shape))
        assert repr(layer) == f"{make.__name__}((2, 3))"

    @pytest.mark.parametrize("make", [LayerNorm, RMSNorm])
    def test_wrong_shapes_are_refused(self, make):
        layer = make((2, 3))
        for shape in ((2, 4), (3,), (5, 3, 2), (6,)):
            with pytest.raises(ValueError, match=r"expected input of shape \(…, 2, 3\), given"):
                layer(np.zeros(shape, np.float32))
        layer(np.zeros((5, 2, 3), np.float32))
        for shape in ((5, 6), (5, 3, 2), (2, 3), (1, 2, 3)):
            with pytest.raises(ValueError, match=r"of shape \(5, 2, 3\), given"):
                layer.backward(np.zeros(shape, np.float32))
        with pytest.raises(ValueError, match="at least one axis"):
            make(())


def test_layer_norm_without_its_shift(rng):
    layer, whole, x = LayerNorm(4, bias=False, dtype=F64), LayerNorm(4, dtype=F64), rng.normal(size=(3, 4))
    assert list(layer.state_dict()) == ["weight"]
    np.testing.assert_array_equal(layer(x), whole(x))
    np.testing.assert_array_equal(layer.backward(x), whole.backward(x))
    np.testing.assert_array_equal(layer.weight.grad, whole.weight.grad)


def test_running_statistics_of_all_batches_alike(rng):
    layer, batches = BatchNorm1d(3, momentum=None, dtype=F64), rng.normal(size=(4, 5, 3))
    for x in batches:
        layer(x)
    np.testing.assert_allclose(layer.running_mean.data, batches.mean(axis=(0, 1)))
    np.testing.assert_allclose(layer.running_var.data, batches.var(axis=1, ddof=1).mean(axis=0))


@pytest.mark.parametrize("dtype", [np.float32, F64])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_huge_rows_are_normalised_like_others(dtype, share, rng, kernels):
    """float32 gave 0 for rows of 1e38, whose squares overflow."""
    x = rng.normal(size=(6, 6))
    x /= np.abs(x).max()
    size = float(np.finfo(dtype).max) * share
    ones, dy = np.ones(6), rng.normal(size=(6, 6))
    others = {layer_norm: (), batch_norm: (), group_norm: (2,)}
    for op, settings in others.items():
        y, cache = op.forward(x, ones, 0 * ones, *settings, 1e-30)
        dx, dgamma, dbeta = op.backward(dy, cache)
        vy = op.jvp(dy, ones, ones, cache)
        huge = (x * size).astype(dtype), ones.astype(dtype), np.zeros(6, dtype)
        y_huge, cache = op.forward(*huge, *settings)
        np.testing.assert_allclose(y_huge, y, rtol=1e-5, atol=1e-5)
        dx_huge, dgamma_huge, dbeta_huge = op.backward(dy.astype(dtype), cache)
        np.testing.assert_allclose(dx_huge.astype(F64) * size, dx, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(dgamma_huge, dgamma, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(dbeta_huge, dbeta, rtol=1e-5, atol=1e-5)
        still = op.jvp(np.zeros((6, 6), dtype), ones.astype(dtype), ones.astype(dtype), cache)
        np.testing.assert_allclose(
            still, vy - op.jvp(dy, 0 * ones, 0 * ones, op.forward(x, ones, 0 * ones, *settings, 1e-30)[1]), atol=1e-4
        )


@pytest.mark.parametrize(
    ("op", "count", "settings"),
    [(layer_norm, 2, ()), (rms_norm, 1, ()), (batch_norm, 2, ()), (batch_renorm, 4, ()), (group_norm, 2, (2,))],
)
def test_each_vector_has_one_value_for_each_channel(op, count, settings):
    vectors = [np.ones(4)] * count
    for i in range(count):
        with pytest.raises(ValueError, match=r"of shape \(4,\), given \(5,\)"):
            op.forward(np.ones((3, 4)), *vectors[:i], np.ones(5), *vectors[i + 1 :], *settings)


def test_rows_of_length_one(rng):
    x = rng.normal(size=(4, 3, 6))
    y = L2Norm(6, eps=1e-12)(x)
    np.testing.assert_allclose(y, x / np.linalg.norm(x, axis=-1, keepdims=True), rtol=1e-10)
    np.testing.assert_array_equal(L2Norm(6)(np.zeros((2, 6))), 0)
    layer = L2Norm(6)
    layer(np.zeros((2, 6)))
    np.testing.assert_allclose(layer.backward(np.ones((2, 6))), 1e3)  # 1/√ε, not ∞
