"""Gradients row by row: their sum is backward's, their inner products are the tangent kernel."""

import numpy as np
import pytest

import deepnp
from deepnp import (
    BatchNorm1d,
    Conv1d,
    Fork,
    GroupNorm,
    Heads,
    Identity,
    Join,
    LayerNorm,
    Linear,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Sine,
    Tanh,
)
from deepnp.cases import tupled, upstream
from deepnp.models import mlp
from deepnp.tangents import pairs, row_gradients, tangent_kernel

NETWORKS = {
    "linear": lambda rng: Linear(4, 3, rng=rng),
    "without bias": lambda rng: Sequential(Linear(4, 3, bias=False, rng=rng), Tanh(), Linear(3, 2, rng=rng)),
    "fused": lambda rng: Sequential(Linear(4, 6, rng=rng), Tanh(), Linear(6, 5, rng=rng), ReLU(), Linear(5, 2, rng=rng), Sigmoid()),
    "not fused": lambda rng: mlp([4, 6, 2], SiLU, rng=rng),
    "layer norm": lambda rng: mlp([4, 6, 5, 2], Tanh, rng=rng, normalization=LayerNorm),
    "group norm": lambda rng: mlp([4, 6, 2], Tanh, rng=rng, normalization=lambda n: GroupNorm(2, n)),
    "without scale": lambda rng: Sequential(Linear(4, 6, rng=rng), LayerNorm(6, elementwise_affine=False), Linear(6, 2, rng=rng)),
    "residual": lambda rng: Residual(mlp([4, 6, 3], rng=rng), Linear(4, 3, rng=rng)),
    "branches": lambda rng: Sequential(Fork(Linear(4, 3, rng=rng), Identity()), Join(1), Linear(7, 2, rng=rng)),
    "heads": lambda rng: Sequential(Linear(4, 5, rng=rng), Heads(a=Linear(5, 2, rng=rng), b=mlp([5, 3, 1], rng=rng))),
}


def gradients_one_by_one(network, x, dy) -> np.ndarray:
    """(B, P): backward over each row alone."""
    rows = []
    for i in range(len(x)):
        network.zero_grad()
        network.forward(x[i : i + 1])
        part = tuple(d[i : i + 1] for d in tupled(dy))
        network.backward(part if isinstance(dy, tuple) else part[0])
        rows.append(network.flat.grad.copy())
    return np.array(rows)


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
class TestRows:
    def test_the_sum_is_backward_s_and_each_is_its_row_s(self, make, rng, kernels):
        network, x = make(rng).to(np.float64), rng.normal(size=(6, 4))
        network.flat.data[...] += 0.1 * rng.normal(size=len(network.flat))
        dy = upstream(network.forward(x), rng)
        network.zero_grad()
        network.backward(dy)
        summed = network.flat.grad.copy()
        network.zero_grad()
        rows = row_gradients(pairs(network, dy))
        assert not network.flat.grad.any()
        np.testing.assert_allclose(rows.sum(axis=0), summed, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(rows, gradients_one_by_one(network, x, dy), rtol=1e-10, atol=1e-12)

    def test_the_kernel_is_made_of_inner_products(self, make, rng):
        network, x, others = make(rng).to(np.float64), rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
        dy = upstream(network.forward(x), rng)
        ours = pairs(network, dy)
        expected = gradients_one_by_one(network, x, dy)
        np.testing.assert_allclose(tangent_kernel(ours), expected @ expected.T, rtol=1e-10, atol=1e-10)
        dy = upstream(network.forward(others), rng)
        across = expected @ gradients_one_by_one(network, others, dy).T
        network.forward(others)
        np.testing.assert_allclose(tangent_kernel(ours, pairs(network, dy)), across, rtol=1e-10, atol=1e-10)


def test_float32_is_multiplied_in_float64(rng, kernels):
    network, x = mlp([4, 6, 5, 2], rng=rng), rng.normal(size=(6, 4)).astype(np.float32)
    dy = network.forward(x)
    network.zero_grad()
    network.backward(dy)
    kernel = tangent_kernel(pairs(network, dy))
    assert kernel.dtype == np.float64
    rows = row_gradients(pairs(network, dy)).astype(np.float64)
    np.testing.assert_allclose(kernel, rows @ rows.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rows.sum(axis=0), network.flat.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("outputs", [1, 3])
def test_kernels_give_the_rows_of_the_plain_form(outputs, rng):
    layers = (
        Linear(4, 6, rng=rng),
        Sine(),
        Linear(6, 5, rng=rng),
        ReLU(),
        Linear(5, 7, rng=rng),
        Tanh(),
        Linear(7, outputs, rng=rng),
    )
    network, x = Sequential(*layers), rng.normal(size=(9, 4)).astype(np.float32)
    dy = upstream(network.forward(x), rng).astype(np.float32)
    fast = pairs(network, dy)
    assert network.steps[0].cache.values is not None
    kernel = tangent_kernel(fast)
    try:
        deepnp.use_kernels(False)
        network.forward(x)
        plain, plain_kernel = pairs(network, dy), tangent_kernel(fast)
    finally:
        deepnp.use_kernels(True)
    for ours, theirs in zip(fast, plain, strict=True):
        np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.dz, theirs.dz, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(kernel, plain_kernel, rtol=1e-14)


def test_groups_over_places_sum_over_them(rng):
    x = rng.normal(size=(5, 4, 3))
    for norm in (GroupNorm(2, 4).to(np.float64), LayerNorm(3).to(np.float64)):
        dy = upstream(norm.forward(x), rng)
        rows = row_gradients(pairs(norm, dy))
        np.testing.assert_allclose(rows, gradients_one_by_one(norm, x, dy), rtol=1e-10, atol=1e-12)


def test_what_has_no_rows_is_refused(rng):
    x = rng.normal(size=(5, 4)).astype(np.float32)
    for norm in (BatchNorm1d(4), BatchNorm1d(4, affine=False)):
        with pytest.raises(TypeError, match="keep rows apart, given BatchNorm1d"):
            pairs(norm, norm.forward(x))
    convolution = Conv1d(4, 4, 1)
    with pytest.raises(TypeError, match="known row by row, given Conv1d"):
        pairs(convolution, convolution.forward(x[:, :, None]))
    for network in (Linear(4, 2), mlp([4, 3, 2])):
        y = network.forward(x[None])
        with pytest.raises(ValueError, match=r"one vector a row, \(B, I\), given .*\(1, 5, "):
            pairs(network, y)
        with pytest.raises(ValueError, match="dy"):
            pairs(network, y[0])
