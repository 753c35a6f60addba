"""The benchmarks as commands: each says what it takes, on any terminal and without the peers that it compares with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = sorted(path.stem for path in (ROOT / "benchmarks").iterdir() if not path.name.startswith("_"))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_printed(name):
    if name == "mutants":
        pytest.importorskip("cosmic_ray")
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    settings = dict(cwd=ROOT, capture_output=True, text=True, check=False)
    result = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, **settings)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage:")
