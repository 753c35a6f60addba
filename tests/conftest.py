"""Everything that looks wrong is an error: warnings (see pyproject.toml) and floating-point mishaps."""

import numpy as np
import pytest

import deepnp


@pytest.fixture(autouse=True)
def strict_arithmetic():
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.fixture(params=[True, False], ids=["kernels", "plain"])
def kernels(request):
    """Runs a test twice: with the fast kernels and with the plain forms."""
    deepnp.use_kernels(request.param)
    yield request.param
    deepnp.use_kernels(True)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
