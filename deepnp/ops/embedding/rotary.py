"""Rotary positions (Su et al. 2021).                 T positions, D channels, D even

Forward    y_{t,2i}   = x_{t,2i} cos θ − x_{t,2i+1} sin θ        θ = ω_i t,   ω_i = base^{−2i/D}
           y_{t,2i+1} = x_{t,2i} sin θ + x_{t,2i+1} cos θ
           with z_i = x_{2i} + j·x_{2i+1}, a complex number for every pair:    z ← z·e^{jθ}
Backward   dx: dz ← dy_z·e^{−jθ}                                  a rotation's transpose is its inverse

Applied to queries and keys before attention, ⟨q_s, k_t⟩ depends on their positions through s − t alone.
Pairs are neighbouring channels (2i, 2i + 1), as in the paper. Some models pair i with i + D/2 ("half-split"); that is this
operation on permuted channels, so their projection weights must be permuted to be used here.
"""

import numpy as np

from deepnp.backend import array_module
from deepnp.ops.embedding import angles


def forward(x, start=0, base=10000.0):
    """x (…, T, D), position of the first of the T -> y (…, T, D)."""
    turn = array_module(x).exp(1j * angles(x, start, base))  # (T, D/2)
    return rotate(x, turn), turn


def backward(dy, cache):
    """dy (…, T, D) -> dx (…, T, D)."""
    return rotate(dy, cache.conj())


def rotate(x, turn):
    """The pairs of x (…, T, D) times turn (T, D/2), as complex numbers -> (…, T, D)."""
    kind = np.result_type(x.dtype, np.complex64)
    pairs = array_module(x).ascontiguousarray(x).view(kind)
    return (pairs * turn.astype(kind)).view(x.dtype)


CASES = [dict(x=(2, 5, 4)), dict(x=(3, 6), start=11, base=50.0), dict(x=(2, 1, 3, 2), start=1), dict(x=(0, 5, 4))]
