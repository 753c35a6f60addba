"""The main job, shortened: it trains, writes everything down, films, resumes nothing by accident, and survives signals."""

import os
import runpy
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

import envs  # noqa: F401  (registers deepnp/…)
from deepnp.storage import load_tensors
from rl.runs.retention import checkpoint_of
from rl.runs.run import Run, read_progress
from rl.training.resume import load_agent

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, str(ROOT / "examples" / "train_walker.py")]
FILES = ["config.json", "progress.csv", "checkpoints/last.safetensors", "learning_curve.svg", "learning_curve.png", "walker.gif"]


def example(folder, *arguments) -> str:
    """What the example prints, run to its end."""
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_trains_films_resumes_and_plays_again(tmp_path):
    begun = ["--steps", "2048", "--out", "run", "--seed", "3"]
    output = example(tmp_path, *begun)
    assert "untrained:" in output
    assert "  trained:" in output
    for name in FILES:
        assert (tmp_path / "run" / name).stat().st_size > 0
    example(tmp_path, "--resume", "run", "--steps", "4096", "--seed", "3")
    assert read_progress(tmp_path / "run")["steps"] == [2048, 4096]
    before = (tmp_path / "run" / "walker.gif").read_bytes()
    for again, line in (["--resume", "run"], "nothing to train: 4,096 of 4,096 steps"), (["--play", "run"], "  trained:"):
        assert line in example(tmp_path, *again, "--seed", "3")
        assert (tmp_path / "run" / "walker.gif").read_bytes() == before
    refused = subprocess.run([*COMMAND, *begun], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "holds a run already" in refused.stderr
    assert "Traceback" not in refused.stderr


def goes_on(folder, steps: int) -> None:
    """A run can be resumed: here, for a process of its own would evaluate and film as well."""
    agent = load_agent(folder, "deepnp/Walker-v0")
    with closing(Run.resume(folder, agent)) as run:
        agent.learn(steps, log=run)


def begin(folder, *arguments, **settings) -> subprocess.Popen:
    """A training that has its first rows."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **settings}
    run = subprocess.Popen([*COMMAND, "--out", "run", *arguments], cwd=folder, text=True, **pipes)
    deadline = time.monotonic() + 120
    while not (folder / "run" / "progress.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return run


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_keeps_what_was_learned_and_resume_goes_on(tmp_path, number):
    run = begin(tmp_path)
    os.kill(run.pid, number)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert "what was learned so far is saved" in output
    for name in FILES:
        assert (tmp_path / "run" / name).stat().st_size > 0
    steps = read_progress(tmp_path / "run")["steps"]
    total = int(steps[-1]) + 2048
    goes_on(tmp_path / "run", total)
    assert read_progress(tmp_path / "run")["steps"] == [*steps, total]


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("live", [True, False], ids=["live", "plain"])
def test_a_closed_terminal_keeps_what_was_learned(tmp_path, live):
    """The terminal hangs up: SIGHUP arrives, and every print fails from then on."""
    terminal, end = os.openpty()
    environment = {**os.environ, "TERM": "xterm" if live else "dumb"}
    run = begin(tmp_path, stdout=end, stderr=end, stdin=end, start_new_session=True, env=environment)
    os.close(end)
    steps = read_progress(tmp_path / "run")["steps"][-1]
    threading.Thread(target=drain, args=(terminal, 0.5)).start()
    time.sleep(1)
    os.kill(run.pid, signal.SIGHUP)
    run.wait(timeout=120)
    learned = read_progress(tmp_path / "run")["steps"][-1]
    assert learned > steps
    assert load_tensors(checkpoint_of(tmp_path / "run"))[1]["steps"] == learned


def drain(terminal: int, seconds: float) -> None:
    """Read what is printed for a while, then hang up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 65536)
    os.close(terminal)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_before_the_first_step_leaves_a_run(tmp_path):
    run = subprocess.Popen([*COMMAND, "--out", "run"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "config.json").exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(run.pid, signal.SIGINT)  # while the untrained agent is evaluated
    output, _ = run.communicate(timeout=120)
    assert "Traceback" not in output
    assert "training to" not in output
    goes_on(tmp_path / "run", 2048)
    assert read_progress(tmp_path / "run")["steps"] == [2048]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_the_second_of_two_that_resume_is_refused(tmp_path):
    run = begin(tmp_path)
    second = subprocess.run([*COMMAND, "--resume", "run"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert second.returncode != 0
    assert f"run is in use: process {run.pid} is training in it" in second.stderr
    assert "Traceback" not in second.stderr
    run.kill()
    run.communicate()
    goes_on(tmp_path / "run", int(read_progress(tmp_path / "run")["steps"][-1]) + 2048)


def test_two_begun_at_once_have_a_folder_each(tmp_path):
    command = [*COMMAND, "--num-envs", "4"]
    runs = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(2)]
    rows = [tmp_path / "runs" / name / "progress.csv" for name in ("walker", "walker-2")]
    deadline = time.monotonic() + 120
    while not all(path.exists() for path in rows) and time.monotonic() < deadline:
        time.sleep(0.1)
    for run in runs:
        run.kill()
        run.communicate()
    for path in rows:
        steps = read_progress(path.parent)["steps"]
        assert steps == list(range(128, 128 * len(steps) + 1, 128))
        assert len(steps) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps"),
        (["--num-envs", "0"], "--num-envs"),
        (["--play", "nowhere"], "found none at nowhere"),
        (["--resume", "nowhere"], "found none at nowhere"),
        (["--seed", "-1"], "expected a whole number >= 0, given -1"),
    ],
)
def test_bad_options_are_told_in_a_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [COMMAND[1], *arguments])
    with pytest.raises(SystemExit) as told:
        runpy.run_path(COMMAND[1], run_name="__main__")
    assert told.value.code != 0
    assert message in f"{told.value.code}\n{capsys.readouterr().err}"
    assert not list(tmp_path.iterdir())
