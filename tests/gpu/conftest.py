"""Every check of this folder runs twice: on the stand-in for CuPy, everywhere, and on CuPy, where it finds a GPU."""

import sys

import pytest

from deepnp import dispatch, gpu
from deepnp.backend import cuda_available
from tests.gpu.stand_in import LIBRARY

CARDS = ["stand-in", "gpu"] if cuda_available() else ["stand-in"]  # no second round of skipped tests


@pytest.fixture(autouse=True, params=CARDS)
def card(request, monkeypatch):
    """Where device "cuda" is."""
    if request.param == "stand-in":
        monkeypatch.setitem(sys.modules, "cupy", LIBRARY)
        monkeypatch.setattr(gpu, "elementwise_runs", lambda *_: False)  # kernels in C need the real one
        monkeypatch.setattr(dispatch, "gpu_form", lambda *_: None)
    return request.param
