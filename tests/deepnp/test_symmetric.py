"""Products and factorisations by one triangle equal NumPy's, in OpenBLAS and without it."""

import numpy as np
import pytest

from deepnp import symmetric
from deepnp.symmetric import factorize, fill_lower, upper_product

SHAPES = [(1, 1), (5, 3), (5, 1), (33, 8), (64, 64), (100, 70)]


@pytest.fixture(params=["OpenBLAS", "NumPy"])
def library(request, monkeypatch):
    if request.param == "NumPy":
        monkeypatch.setattr(symmetric, "_functions", lambda: None)
    else:
        assert symmetric._functions() is not None, "NumPy's wheels bring OpenBLAS: its dsyrk and dpotrf should be found"


@pytest.mark.parametrize("shape", [*SHAPES, (0, 3), (4, 0)])
def test_the_upper_triangle_of_a_product(shape, library, rng):
    a = rng.normal(size=shape)
    upper, before = upper_product(a), a.copy()
    np.testing.assert_allclose(np.triu(upper), np.triu(a @ a.T), rtol=1e-13, atol=1e-13)
    fill_lower(upper)
    np.testing.assert_array_equal(upper, upper.T)
    np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize("size", [0, 1, 2, 7, 64, 130])
def test_a_factorisation_of_the_upper_triangle(size, library, rng):
    a = rng.normal(size=(size, size + 3))
    a = a @ a.T
    given = np.triu(a) + np.tril(rng.normal(size=a.shape), -1)
    upper = np.triu(factorize(given))
    np.testing.assert_allclose(upper.T @ upper, a, rtol=1e-12, atol=1e-12)


def test_what_is_not_positive_definite_is_refused(library):
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        factorize(np.diag([3.0, -1.0]))


@pytest.mark.parametrize("function", [upper_product, factorize])
@pytest.mark.parametrize("a", [np.eye(3, dtype=np.float32), np.asfortranarray(np.arange(9.0).reshape(3, 3)), np.ones(4)])
def test_what_the_routines_would_misread_is_refused(function, a):
    with pytest.raises(ValueError, match="expected a matrix of float64 in C order, given"):
        function(a)


def test_only_square_matrices_have_factors():
    with pytest.raises(ValueError, match=r"expected a square matrix, given \(2, 3\)"):
        factorize(np.ones((2, 3)))
