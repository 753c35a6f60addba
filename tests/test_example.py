"""The main job, shortened: it trains, writes everything down, films, resumes nothing by accident, and survives Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rl.training.run import read_progress

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, str(ROOT / "examples" / "train_walker.py")]
FILES = ["config.json", "progress.csv", "checkpoints/last.safetensors", "learning_curve.svg", "learning_curve.png", "walker.gif"]


def test_trains_films_and_plays_again(tmp_path):
    run = [*COMMAND, "--steps", "8192", "--out", "run", "--seed", "3"]
    output = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "untrained:" in output
    assert "  trained:" in output
    for name in FILES:
        assert (tmp_path / "run" / name).stat().st_size > 0
    before = (tmp_path / "run" / "walker.gif").read_bytes()
    again = subprocess.run(
        [*COMMAND, "--play", "run", "--seed", "3"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "  trained:" in again
    assert (tmp_path / "run" / "walker.gif").read_bytes() == before
    refused = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "holds a run already" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_ctrl_c_keeps_what_was_learned_and_resume_goes_on(tmp_path):
    run = subprocess.Popen([*COMMAND, "--out", "run"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    progress = tmp_path / "run" / "progress.csv"
    deadline = time.monotonic() + 120
    while not progress.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(run.pid, signal.SIGINT)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0
    assert "saving what was learned so far" in output
    for name in FILES:
        assert (tmp_path / "run" / name).stat().st_size > 0
    steps = read_progress(tmp_path / "run")["steps"]
    more = [*COMMAND, "--resume", "run", "--steps", str(int(steps[-1]) + 2048)]
    subprocess.run(more, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert read_progress(tmp_path / "run")["steps"] == [*steps, steps[-1] + 2048]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps"),
        (["--num-envs", "0"], "--num-envs"),
        (["--play", "nowhere"], "found none at nowhere"),
        (["--seed", "-1"], "seed as an integer >= 0"),
    ],
)
def test_bad_options_are_told_in_a_line(tmp_path, arguments, message):
    result = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())
