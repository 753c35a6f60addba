"""Symmetric matrices, of which one triangle says all.                 B rows, C columns

    A Aᵀ           BLAS's dsyrk: half the products of A Bᵀ
    K = Uᵀ U       LAPACK's dpotrf, U the upper triangle: Cholesky

NumPy calls the same two routines, and copies more numbers than one would think: after each product it fills the other triangle, in
strides of a row; around each factorisation it transposes twice. Of 256 rows that takes as long as half the arithmetic. Here both
are called directly, in NumPy's own OpenBLAS. Where that is not found, NumPy's functions run.

All matrices are float64 in C order.
"""

import ctypes
from functools import cache

import numpy as np

from deepnp.backend import exact_kernel
from deepnp.blas import find

ROW_MAJOR, UPPER, NO_TRANSPOSE = 101, 121, 111  # CBLAS's numbers
TILE = 32  # rows and columns that are transposed together: they fit into the nearest cache


def upper_product(a: np.ndarray) -> np.ndarray:
    """The upper triangle of A Aᵀ: a (B, C) -> (B, B). What stands below the diagonal means nothing.

    Raises
    ------
    ValueError
        For anything but a matrix of float64 in C order.
    """
    _check(a)
    found = _functions()
    if found is None:
        return a @ a.T
    dsyrk, _, _ = found
    product, (n, k) = np.empty((len(a), len(a))), a.shape
    dsyrk(ROW_MAJOR, UPPER, NO_TRANSPOSE, n, k, 1.0, a.ctypes.data, max(k, 1), 0.0, product.ctypes.data, max(n, 1))
    return product


def factorize(a: np.ndarray) -> np.ndarray:
    """U of A = Uᵀ U, written over the upper triangle of a (B, B), and returned. What stands below the diagonal means nothing.

    Raises
    ------
    ValueError
        For anything but a square matrix of float64 in C order.
    numpy.linalg.LinAlgError
        If A is not positive definite.
    """
    _check(a)
    if a.shape[0] != a.shape[1]:
        raise ValueError(f"expected a square matrix, given {a.shape}")
    found = _functions()
    if found is None:
        a[...] = np.linalg.cholesky(a.T).T  # which reads what is, transposed, the lower triangle
        return a
    _, dpotrf, integer = found
    n, info = integer(len(a)), integer(0)
    dpotrf(b"L", n, a.ctypes.data, integer(max(len(a), 1)), info)  # by columns, as LAPACK reads, this triangle is the lower one
    if info.value:
        raise np.linalg.LinAlgError("Matrix is not positive definite")
    return a


@exact_kernel
def fill_lower(a) -> None:
    """Copy the triangle above the diagonal of a (B, B) below it, tile by tile."""
    for top in range(0, len(a), TILE):
        for left in range(0, top + 1, TILE):
            for i in range(top, min(top + TILE, len(a))):
                for j in range(left, min(left + TILE, i)):
                    a[i, j] = a[j, i]


def _check(a):
    """Routines that are called by address read what they are told to."""
    if a.ndim != 2 or a.dtype != np.float64 or not a.flags.c_contiguous:
        raise ValueError(f"expected a matrix of float64 in C order, given {a.dtype} of shape {a.shape}, strides {a.strides}")


@cache
def _functions():
    """dsyrk, dpotrf and their integer's type; None where NumPy's OpenBLAS is not found."""
    dsyrk, wide = find("cblas_dsyrk")
    dpotrf, _ = find("dpotrf_")
    if dsyrk is None or dpotrf is None:
        return None
    integer = ctypes.c_int64 if wide else ctypes.c_int32
    number, address, enum = ctypes.c_double, ctypes.c_void_p, ctypes.c_int
    dsyrk.restype, dpotrf.restype = None, None
    dsyrk.argtypes = [enum, enum, enum, integer, integer, number, address, integer, number, address, integer]
    by_reference = ctypes.POINTER(integer)
    dpotrf.argtypes = [ctypes.c_char_p, by_reference, address, by_reference, by_reference]
    return dsyrk, dpotrf, integer
