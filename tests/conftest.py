"""Everything that looks wrong is an error: warnings (see pyproject.toml) and floating-point mishaps."""

import os

import numpy as np
import pytest

import deepnp


@pytest.fixture(autouse=True)
def strict_arithmetic():
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.fixture(autouse=True, scope="session")
def no_test_waits_for_the_disk():
    """What is saved is whole without `fsync`, unless the power fails. Thousands of them took a tenth of the suite's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which refuses what is no open file, too
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
