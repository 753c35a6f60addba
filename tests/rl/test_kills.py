"""kill −9 at random moments: the bounded version of `python -m benchmarks.kills`."""

import os

import pytest

pytest.importorskip("tensorboardX")
from benchmarks.kills import SETTINGS, kill


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_outlives_kills(name, capsys):
    kill(name, 5, seed=0)
    assert "5 kills, all resumed" in capsys.readouterr().out
