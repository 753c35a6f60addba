"""Solving K z = b for a symmetric K ⪰ 0 that may lack rank.            B rows

    ridge        (K + λ·κ·I) z = b          κ = tr K/B: λ counts in units of the mean diagonal; Cholesky
    truncated    z = Σ_k u_k (u_kᵀb)/λ_k    over the eigenvalues λ_k > r·λ_max: the least-squares solution of shortest length

Along the direction that K z stands for, b can be reached as far as the cosine of K z and b says. Of
the truncated solution K z = P b, P the projection onto the eigenvectors that were kept.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp.backend import ordered_kernel
from deepnp.symmetric import factorize


class Solved(NamedTuple):
    """A solution z (B,).

    Attributes
    ----------
    z : array (B,)
    reached : float
        The cosine between K z and b; 0 where either vanishes.
    rank : int
        Eigenvalues that were used; B for the ridge.
    """

    z: np.ndarray
    reached: float
    rank: int


def ridge(kernel: np.ndarray, b: np.ndarray, amount: float) -> Solved:
    """(K + λ·(tr K/B)·I) z = b: kernel (B, B) and b (B,), float64.

    Parameters
    ----------
    kernel, b
        K and b.
    amount : float
        λ > 0.

    Raises
    ------
    ValueError
        For a λ that is not positive, or a K that is not, up to λ.
    """
    if not amount > 0:
        raise ValueError(f"expected a positive amount of ridge, given {amount}")
    _check(kernel, b)
    size = len(b)
    shift = amount * kernel.trace() / size
    if shift == 0:
        return Solved(np.zeros_like(b), 0.0, 0)
    shifted = np.array(kernel, np.float64, order="C")
    shifted.reshape(-1)[:: size + 1] += shift
    try:
        upper = factorize(shifted)
    except np.linalg.LinAlgError:
        raise ValueError(f"expected a kernel that is positive semi-definite, given {np.linalg.eigvalsh(kernel)[0]}") from None
    z = b.astype(np.float64)
    _substitute(upper, z)
    return Solved(z, cosine(kernel @ z, b), size)


def truncated(kernel: np.ndarray, b: np.ndarray, threshold: float) -> Solved:
    """The least-squares solution of K z = b from the eigenvalues above `threshold`·λ_max: kernel (B, B) and b (B,), float64.

    Parameters
    ----------
    kernel, b
        K and b.
    threshold : float
        r in [0, 1).
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"expected a threshold in [0, 1), given {threshold}")
    _check(kernel, b)
    values, vectors = np.linalg.eigh(kernel)
    kept = values > threshold * max(values[-1], 0)
    along = vectors[:, kept].T @ b
    z = vectors[:, kept] @ (along / values[kept])
    return Solved(z, cosine(vectors[:, kept] @ along, b), int(np.count_nonzero(kept)))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """⟨a, b⟩/(‖a‖ ‖b‖) of two vectors; 0 where either is 0."""
    lengths = math.sqrt(a @ a) * math.sqrt(b @ b)
    return float(a @ b) / lengths if lengths > 0 else 0.0


def _check(kernel, b):
    if b.ndim != 1 or not len(b) or kernel.shape != (len(b), len(b)):
        raise ValueError(f"expected a kernel (B, B) and b (B,) with B >= 1, given {kernel.shape} and {b.shape}")
    if kernel.dtype.kind != "f" or not np.isfinite(kernel).all() or not np.isfinite(b).all():
        raise ValueError(f"expected finite floating-point numbers, given {kernel.dtype}, NaN or infinity")


@ordered_kernel
def _substitute(upper, z):
    """Uᵀ U z = b, in place of b (B,): forward, then backward."""
    for i in range(len(z)):
        z[i] /= upper[i, i]
        for j in range(i + 1, len(z)):
            z[j] -= upper[i, j] * z[i]
    for i in range(len(z) - 1, -1, -1):
        for j in range(len(z) - 1, i, -1):
            z[i] -= upper[i, j] * z[j]
        z[i] /= upper[i, i]
