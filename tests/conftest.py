"""Everything that looks wrong is an error: warnings (see pyproject.toml) and floating-point mishaps."""

import os
import shutil

import numpy as np
import pytest

import deepnp


@pytest.fixture(autouse=True)
def strict_arithmetic():
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    """No test leaves another number of threads to the next one."""
    threads = deepnp.get_num_threads()
    yield
    if deepnp.get_num_threads() != threads:
        deepnp.set_num_threads(threads)


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


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason='the browser tests need pip install -e ".[docs]"')
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with playwright.sync_playwright() as running:
        try:
            browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no browser: {error}")
        yield browser
        browser.close()


@pytest.fixture
def rng():
    return np.random.default_rng(0)
