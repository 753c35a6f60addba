"""Spectral normalisation of a weight (Miyato et al. 2018).        O outputs, I everything else; W is (O, I), u (O,), v (I,)

Forward    σ = uᵀWv    W̄ = W/σ                            u and v: unit vectors near the first singular pair, σ the largest
                                                          stretch, so x -> W̄x is 1-Lipschitz
Backward   ∂σ/∂W = u vᵀ                                   σ = Σ_oi u_o W_oi v_i is linear in W
           dσ = −⟨dW̄, W⟩/σ² = −⟨dW̄, W̄⟩/σ                  σ divides every element: ∂W̄_oi/∂σ = −W_oi/σ²
           dW = dW̄/σ + dσ·u vᵀ                            directly, and through σ; collected:
              = (dW̄ − ⟨dW̄, W̄⟩·u vᵀ)/σ
Tangent    vσ = ⟨u vᵀ, vW⟩
           vW̄ = (vW − W̄·vσ)/σ                             the quotient rule

u and v are held constant: the derivative of the first singular value is u vᵀ all the same, because they maximise it.

Iteration  v ← Wᵀu/(‖Wᵀu‖ + ε)    u ← Wv/(‖Wv‖ + ε)       the power method; once a step suffices, since W moves slowly
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.cases import Uniform
from deepnp.checks import check_shape, check_tangent
from deepnp.dispatch import accelerated


class Cache(NamedTuple):
    normal: np.ndarray  # (O, …), weight/σ
    sigma: np.ndarray  # a number
    u: np.ndarray  # (O,)
    v: np.ndarray  # (I,)


def forward(weight, u, v) -> tuple[np.ndarray, Cache]:
    """weight (O, …), u (O,), v (I,) -> weight/σ (O, …)."""
    sigma = u @ (_matrix(weight) @ v)
    normal = weight / sigma
    return normal, Cache(normal, sigma, u, v)


def backward(dy, cache) -> np.ndarray:
    """dy (O, …) -> dweight (O, …)."""
    return (dy - (dy * cache.normal).sum() * _outer(cache)) / cache.sigma


def jvp(vweight, cache) -> np.ndarray:
    """Tangent vweight (O, …) -> tangent of weight/σ (O, …)."""
    check_tangent(vweight, cache.normal.shape)
    return (vweight - cache.normal * (vweight * _outer(cache)).sum()) / cache.sigma


def iterate(weight, u, eps=1e-12) -> tuple[np.ndarray, np.ndarray]:
    """weight (O, …), u (O,) -> u (O,), v (I,) after one step of the power method."""
    matrix = _matrix(weight)
    v = _unit(u @ matrix, eps)
    return _unit(matrix @ v, eps), v


def _matrix(weight):
    return weight.reshape(len(weight), math.prod(weight.shape[1:]))


def _outer(cache):
    """u vᵀ, in the weight's shape."""
    return (cache.u[:, None] * cache.v).reshape(cache.normal.shape)


def _unit(vector, eps):
    return vector / (array_module(vector).sqrt(vector @ vector) + eps)


def _check(weight, u, v):
    check_shape("u", u, weight.shape[:1])
    check_shape("v", v, (math.prod(weight.shape[1:]),))


forward = accelerated(forward, check=_check)
backward = accelerated(backward, y_shape=lambda cache: cache.normal.shape)

_U, _V = np.array([0.5, 0.25, 0.75], np.float32), np.array([0.5, 0.125, 0.25, 1.0], np.float32)

CASES = [
    dict(weight=Uniform((3, 4), 0.5, 1.5), u=_U, v=_V),
    dict(weight=Uniform((3, 4), -2.0, -1.0), u=_U, v=_V),
    dict(weight=Uniform((3, 1, 2, 2), 0.5, 1.5), u=_U, v=_V),
    dict(weight=(0, 4), u=_U[:0], v=_V),
]
