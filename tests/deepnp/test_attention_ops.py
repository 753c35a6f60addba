"""Attention operations beyond the op harness: masked rows, memory, views, blocks against the whole matrix."""

import tracemalloc

import numpy as np
import pytest

from deepnp.ops.attention import block_scaled_dot_product, padding_mask, scaled_dot_product

OPS = [scaled_dot_product, block_scaled_dot_product]


def heads(rng, queries, keys, dtype=np.float32, d=4):
    return [rng.normal(size=(2, 3, length, d)).astype(dtype) for length in (queries, keys, keys)]


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_without_keys_gives_zero_and_takes_no_gradient(op, dtype, rng, kernels):
    q, k, v = heads(rng, 5, 6, dtype)
    mask = np.zeros((5, 6))
    mask[2] = -np.inf
    y, cache = op.forward(q, k, v, mask)
    assert (y[..., 2, :] == 0).all()
    dy = np.zeros_like(y)
    dy[..., 2, :] = 7
    for gradient in op.backward(dy, cache):
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("op", OPS)
def test_everything_masked(op, rng, kernels):
    q, k, v = heads(rng, 5, 6)
    y, cache = op.forward(q, k, v, padding_mask(np.ones((2, 6), bool)))
    assert not y.any()
    assert not any(gradient.any() for gradient in op.backward(np.ones_like(y), cache))


@pytest.mark.parametrize("op", OPS)
def test_masked_keys_have_no_influence(op, rng, kernels):
    q, k, v = heads(rng, 5, 6)
    hidden = np.zeros((2, 6), bool)
    hidden[0, 4:] = True
    y, cache = op.forward(q, k, v, padding_mask(hidden))
    _, dk, dv = op.backward(rng.normal(size=y.shape).astype(np.float32), cache)
    assert (dk[0, :, 4:] == 0).all()
    assert (dv[0, :, 4:] == 0).all()
    assert dk[1, :, 4:].all()
    k[0, :, 4:], v[0, :, 4:] = 50, -50
    np.testing.assert_array_equal(op.forward(q, k, v, padding_mask(hidden))[0], y)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("queries", "keys"), [(6, 6), (4, 7), (7, 4)])
def test_causal_is_the_triangular_mask(op, queries, keys, rng, kernels):
    q, k, v = heads(rng, queries, keys, np.float64)
    later = np.where(np.arange(keys) > np.arange(queries)[:, None], -np.inf, 0.0)
    (y, cache), (expected, cache_mask) = op.forward(q, k, v, causal=True), op.forward(q, k, v, later)
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    dy = rng.normal(size=y.shape)
    for given, wanted in zip(op.backward(dy, cache), op.backward(dy, cache_mask), strict=True):
        np.testing.assert_allclose(given, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("op", OPS)
def test_large_scores_do_not_overflow(op, rng, kernels):
    q, k, v = heads(rng, 5, 6)
    y, cache = op.forward(q * 1e4, k * 1e4, v)
    assert all(np.isfinite(part).all() for part in (y, *op.backward(np.ones_like(y), cache)))
    best = (q @ k.swapaxes(-1, -2)).argmax(-1)
    np.testing.assert_allclose(y, np.take_along_axis(v, best[..., None], axis=-2), rtol=1e-5)


@pytest.mark.parametrize("op", OPS)
def test_nan_is_not_hidden(op, rng, kernels):
    q, k, v = heads(rng, 5, 6)
    q[1, 2, 3] = np.nan
    y, _ = op.forward(q, k, v)
    assert np.isnan(y[1, 2, 3]).all()
    assert np.isnan(y).sum() == y.shape[-1]


@pytest.mark.parametrize("op", OPS)
def test_gradients_go_where_they_are_told(op, rng, kernels):
    q, k, v = heads(rng, 5, 5)
    y, cache = op.forward(q, k, v)
    dy = rng.normal(size=y.shape).astype(np.float32)
    together = np.full((2, 5, 3, 3, 4), np.nan, np.float32)
    out = list(together.transpose(2, 0, 3, 1, 4))
    op.backward(dy, cache, out)
    for view, gradient in zip(out, op.backward(dy, cache), strict=True):
        np.testing.assert_array_equal(view, gradient)


@pytest.mark.parametrize("op", OPS)
def test_gradients_go_into_arrays_that_blas_cannot_write(op, rng, kernels):
    q, k, v = heads(rng, 5, 6)
    y, cache = op.forward(q, k, v)
    out = [np.full(x.swapaxes(-1, -2).shape, np.nan, np.float32).swapaxes(-1, -2) for x in (q, k, v)]
    op.backward(y, cache, out)
    for view, gradient in zip(out, op.backward(y, cache), strict=True):
        np.testing.assert_array_equal(view, gradient)


@pytest.mark.parametrize("op", OPS)
def test_a_kernel_does_not_read_past_the_end(op, rng, kernels):
    q, k, v = heads(rng, 5, 6)
    for arguments in ((q, k[..., :3], v), (q, k, v[..., :4, :]), (q, k[:, :2], v), (q[0], k, v)):
        with pytest.raises(ValueError, match=r"expected .* given"):
            op.forward(*arguments)
    for shape in ((4, 6), (5, 5), (6,), (3, 1, 1, 6), (1, 2, 3, 5, 6), (2, 3, 0, 6)):
        with pytest.raises(ValueError, match="expected a mask that is broadcast"):
            op.forward(q, k, v, np.zeros(shape, np.float32))
    _, cache = op.forward(q, k, v)
    for shape in ((2, 3, 4, 4), (2, 3, 5, 1), (3, 5, 4), (2, 3, 10, 4)):
        with pytest.raises(ValueError, match="expected dy"):
            op.backward(np.zeros(shape, np.float32), cache)
    with pytest.raises(ValueError, match="array for a gradient"):
        op.backward(np.zeros((2, 3, 5, 4), np.float32), cache, [np.empty((2, 3, 5, 4), np.float32)] * 3)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", "longdouble"])
def test_gradients_go_into_arrays_of_any_type(op, dtype, rng, kernels):
    q, k, v = heads(rng, 5, 6)
    y, cache = op.forward(q, k, v)
    out = [np.zeros(x.shape, dtype) for x in (q, k, v)]
    op.backward(y, cache, out)
    for given, gradient in zip(out, op.backward(y, cache), strict=True):
        np.testing.assert_allclose(given.astype(np.float32), gradient, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("mask", [np.zeros((5, 6), bool), np.zeros((5, 6), int)])
def test_masks_are_added_so_they_are_numbers(op, mask, rng, kernels):
    with pytest.raises(TypeError, match="a mask that is added of floating-point numbers"):
        op.forward(*heads(rng, 5, 6), mask)


@pytest.mark.parametrize("op", OPS)
def test_kernels_take_views_of_one_projection(op, rng):
    together = rng.normal(size=(2, 5, 3, 3, 4)).astype(np.float32)
    views = together.transpose(2, 0, 3, 1, 4)
    dy = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    for arguments in (views, views[..., ::-1], views[:, :, :, ::-1], views[..., :1], views[:, :, :, 1:2]):
        d = dy[..., : arguments.shape[-2], : arguments.shape[-1]]
        y, cache = op.forward(*arguments)
        expected, cache_copied = op.forward(*(np.array(part, order="C") for part in arguments))
        np.testing.assert_array_equal(y, expected)
        for given, wanted in zip(op.backward(d, cache), op.backward(d.copy(), cache_copied), strict=True):
            np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize("mask_shape", [None, (33, 41), (3, 1, 1, 41), (3, 2, 33, 41), (2, 33, 41)])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("block", [8, 16, 100])
def test_blocks_agree_with_the_whole_matrix(mask_shape, causal, block, rng, kernels):
    q, k, v = (rng.normal(size=(3, 2, n, 8)) for n in (33, 41, 41))
    mask = None if mask_shape is None else np.where(rng.random(mask_shape) < 0.4, -np.inf, rng.normal(size=mask_shape))
    dy = rng.normal(size=(3, 2, 33, 8))
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        arguments = [part.astype(dtype) for part in (q, k, v)]
        y, cache = scaled_dot_product.forward(*arguments, mask, causal)
        y_block, cache_block = block_scaled_dot_product.forward(*arguments, mask, causal, block)
        np.testing.assert_allclose(y_block, y, rtol=tolerance, atol=tolerance)
        pairs = (op.backward(dy.astype(dtype), c) for op, c in zip(OPS, (cache, cache_block), strict=True))
        for plain, blocks in zip(*pairs, strict=True):
            np.testing.assert_allclose(blocks, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("causal", [False, True])
def test_blocks_allocate_no_matrix_of_scores(causal, rng, kernels):
    length = 2048
    q, k, v, dy = (rng.normal(size=(1, 1, length, 8)).astype(np.float32) for _ in range(4))
    mask = padding_mask(np.arange(length)[None] > 2000)
    matrix = length * length * q.itemsize

    def peak(op, *settings):
        tracemalloc.start()
        _, cache = op.forward(q, k, v, mask, causal, *settings)
        op.backward(dy, cache)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(block_scaled_dot_product, 64)  # compiling a kernel allocates, too
    assert peak(block_scaled_dot_product, 64) < matrix / 4
    assert peak(scaled_dot_product) > matrix


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("op", "settings"), [(scaled_dot_product, ()), (block_scaled_dot_product, (2,))])
def test_what_the_kernels_compute_is_taken(op, settings, causal, rng):
    """Where it is not finite the plain form computes it again: kernels that only give NaN would pass every other test."""
    q, k, v = heads(rng, 5, 6)
    y, cache = op.forward(q, k, v, padding_mask(np.arange(6)[None] > 4), causal, *settings)
    assert cache.kernels
    assert all(np.isfinite(gradient).all() for gradient in op._backward_fast(np.ones_like(y), cache, None))
