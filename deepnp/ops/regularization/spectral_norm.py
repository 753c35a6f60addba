"""Spectral normalisation of a weight (Miyato et al. 2018).        O outputs, I everything else; W is (O, I), u (O,), v (I,)

Forward    σ = uᵀWv    W̄ = W/σ                           u and v: unit vectors near the first singular pair, σ the largest
                                                         stretch, so x -> W̄x is 1-Lipschitz
Backward   dW = (dW̄ − ⟨dW̄, W̄⟩·u vᵀ)/σ                    directly, and through σ: dσ = −⟨dW̄, W⟩/σ², ∂σ/∂W = u vᵀ

u and v are held constant: the derivative of the first singular value is u vᵀ all the same, because they maximise it.
(Thesis Alg. 16 steps along dW̄ and forgets the way through σ.)

Iteration  v ← Wᵀu/(‖Wᵀu‖ + ε)    u ← Wv/(‖Wv‖ + ε)       the power method; once a step suffices, since W moves slowly
"""

import math

import numpy as np

from deepnp.backend import array_module
from deepnp.cases import Uniform


def forward(weight, u, v):
    """weight (O, …), u (O,), v (I,) -> weight/σ (O, …)."""
    sigma = u @ (_matrix(weight) @ v)
    normal = weight / sigma
    return normal, (normal, sigma, u, v)


def backward(dy, cache):
    """dy (O, …) -> dweight (O, …)."""
    normal, sigma, u, v = cache
    outer = (u[:, None] * v).reshape(normal.shape)
    return (dy - (dy * normal).sum() * outer) / sigma


def iterate(weight, u, eps=1e-12):
    """weight (O, …), u (O,) -> u (O,), v (I,) after one step of the power method."""
    matrix = _matrix(weight)
    v = _unit(u @ matrix, eps)
    return _unit(matrix @ v, eps), v


def _matrix(weight):
    return weight.reshape(len(weight), math.prod(weight.shape[1:]))


def _unit(vector, eps):
    return vector / (array_module(vector).sqrt(vector @ vector) + eps)


_U, _V = np.array([0.5, 0.25, 0.75], np.float32), np.array([0.5, 0.125, 0.25, 1.0], np.float32)

CASES = [
    dict(weight=Uniform((3, 4), 0.5, 1.5), u=_U, v=_V),
    dict(weight=Uniform((3, 4), -2.0, -1.0), u=_U, v=_V),
    dict(weight=Uniform((3, 1, 2, 2), 0.5, 1.5), u=_U, v=_V),
    dict(weight=(0, 4), u=_U[:0], v=_V),
]
