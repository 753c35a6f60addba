"""Rotary positions (Su et al. 2021).                 T positions, D channels, D even

Forward    y_{t,2i}   = x_{t,2i} cos θ − x_{t,2i+1} sin θ        θ = ω_i t,   ω_i = base^{−2i/D}
           y_{t,2i+1} = x_{t,2i} sin θ + x_{t,2i+1} cos θ
           with z_i = x_{2i} + j·x_{2i+1}, a complex number for every pair:    z ← z·e^{jθ}
Backward   each pair goes through its own 2 × 2 matrix (cos θ, −sin θ; sin θ, cos θ), and dx through its transpose:
           dx_{t,2i} = dy_{t,2i} cos θ + dy_{t,2i+1} sin θ        dx_{t,2i+1} = −dy_{t,2i} sin θ + dy_{t,2i+1} cos θ
           dz ← dy_z·e^{−jθ}                                 the rotation back: its transpose is its inverse
Tangent    vz ← vx_z·e^{jθ}                                  the map is linear

Applied to queries and keys before attention, ⟨q_s, k_t⟩ depends on their positions through s − t alone.
Pairs are neighbouring channels (2i, 2i + 1), as in the paper. Some models pair i with i + D/2 ("half-split"); that is this
operation on permuted channels, so their projection weights must be permuted to be used here.
"""

from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats, check_tangent, check_upstream
from deepnp.ops.embedding import angles


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    turn: np.ndarray  # e^{jθ} (T, D/2)
    shape: tuple[int, ...]  # of x and y


def forward(x, start=0, base=10000.0) -> tuple[np.ndarray, Cache]:
    """x (…, T, D), position of the first of the T -> y (…, T, D)."""
    check_floats(x)
    if x.shape[-1] % 2:
        raise ValueError(f"expected an even last axis, channels turn in pairs; given {x.shape}")
    turn = array_module(x).exp(1j * angles(x, start, base))
    return rotate(x, turn), Cache(turn, x.shape)


def backward(dy, cache) -> np.ndarray:
    """dy (…, T, D) -> dx (…, T, D)."""
    check_upstream(dy, cache.shape)
    return rotate(dy, cache.turn.conj())


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx (…, T, D) -> tangent of y."""
    check_tangent(vx, cache.shape)
    return rotate(vx, cache.turn)


def rotate(x, turn) -> np.ndarray:
    """The pairs of x (…, T, D) times turn (T, D/2), as complex numbers -> (…, T, D)."""
    pair, part = np.result_type(x.dtype, np.complex64), np.result_type(x.dtype, np.float32)  # there is no complex float16
    pairs = array_module(x).ascontiguousarray(x, part).view(pair)
    return (pairs * turn.astype(pair)).view(part).astype(x.dtype, copy=False)


CASES = [dict(x=(2, 5, 4)), dict(x=(3, 6), start=11, base=50.0), dict(x=(2, 1, 3, 2), start=1), dict(x=(0, 5, 4))]
