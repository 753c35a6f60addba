"""Muon: its orthogonalisation, and which parameters follow which rule."""

import numpy as np
import pytest

from deepnp.optim import Adam, Muon
from deepnp.optim.muon import orthogonalise
from deepnp.parameters import Parameter, ParameterVector


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (1, 5), (5, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_singular_values_come_near_one_and_vectors_stay(shape, dtype, rng):
    u = rng.normal(size=shape).astype(dtype)
    x = orthogonalise(u, 6)
    assert (x.dtype, x.shape) == (dtype, shape)
    p, _, q = np.linalg.svd(u, full_matrices=False)
    diagonal = p.T @ x @ q.T  # orthogonalising keeps the singular vectors: this is diagonal
    np.testing.assert_allclose(diagonal - np.diag(np.diag(diagonal)), 0, atol=1e-4 if dtype == np.float32 else 1e-10)
    assert ((np.diag(diagonal) > 0.6) & (np.diag(diagonal) < 1.3)).all()


def test_each_singular_value_follows_the_polynomial(rng):
    u = rng.normal(size=(5, 3))
    s = np.linalg.svd(u, compute_uv=False) / np.linalg.norm(u)
    for _ in range(4):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    np.testing.assert_allclose(np.sort(np.linalg.svd(orthogonalise(u, 4), compute_uv=False)), np.sort(s), rtol=1e-10)


def test_zeros_stay_zeros():
    np.testing.assert_array_equal(orthogonalise(np.zeros((3, 2), np.float32)), 0)


@pytest.mark.parametrize("nesterov", [True, False])
def test_matrices_follow_muon(nesterov, rng):
    start, gradients = rng.normal(size=(6, 3)), rng.normal(size=(5, 6, 3))
    vector = ParameterVector({"w": Parameter(start.copy())})
    optimizer = Muon(vector, lr=0.1, momentum=0.8, nesterov=nesterov, weight_decay=0.2)
    w, m = start, np.zeros((6, 3))
    for g in gradients:
        vector.grad[...] = g.ravel()
        optimizer.step()
        m = 0.8 * m + 0.2 * g
        w = w * (1 - 0.1 * 0.2) - 0.1 * np.sqrt(2) * orthogonalise(g + 0.8 / 0.2 * m if nesterov else m)  # any multiple will do
        np.testing.assert_allclose(vector.named["w"].data, w, rtol=1e-10)


def test_a_wide_matrix_is_not_scaled(rng):
    vector = ParameterVector({"w": Parameter(np.zeros((2, 50)))})
    vector.grad[...] = rng.normal(size=100)
    Muon(vector, lr=1.0, momentum=0.0).step()
    np.testing.assert_allclose(vector.named["w"].data, -orthogonalise(vector.grad.reshape(2, 50)), rtol=1e-12)


def test_the_rest_follows_adamw(rng, kernels):
    shapes = {"embedding": (4, 3), "hidden": (3, 3), "bias": (3,), "kernel": (2, 3, 2)}
    start = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    vector, other = (ParameterVector({n: Parameter(a.copy()) for n, a in start.items()}) for _ in range(2))
    settings = dict(weight_decay=0.1)
    optimizer = Muon(vector, exclude=["embedding"], adam_lr=0.02, adam_betas=(0.8, 0.9), adam_eps=1e-6, **settings)
    adamw = Adam(other, lr=0.02, betas=(0.8, 0.9), eps=1e-6, decoupled=True, **settings)
    for g in rng.normal(size=(5, len(vector))):
        vector.grad[...] = other.grad[...] = g
        optimizer.step(), adamw.step()
    for name in ("embedding", "bias", "kernel"):
        np.testing.assert_allclose(vector.named[name].data, other.named[name].data, rtol=1e-12)
    assert np.abs(vector.named["hidden"].data - other.named["hidden"].data).min() > 1e-4
