"""`deepnp` as a process of its own: what it imports, signals, pipes, terminals, completion."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rl.interruption import ACKNOWLEDGED
from tests.rl.test_cli import TINY

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "rl.cli"]
LONG = f"train ppo CartPole-v1 --steps 1e9 --out run {TINY}"


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **changes}


def deepnp(text: str, folder: Path, **changes: str) -> subprocess.CompletedProcess:
    return subprocess.run([*COMMAND, *text.split()], cwd=folder, env=environment(**changes), capture_output=True, timeout=120)


def test_help_imports_nothing_heavy(tmp_path):
    heavy = "numba", "mujoco", "matplotlib", "PIL", "envs"
    code = f"import sys; from rl.cli import main; main(['--help']); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_on_a_terminal_that_lacks_signs(tmp_path):
    done = deepnp("train sac --help", tmp_path, PYTHONIOENCODING="cp1252", PYTHONUTF8="0", TERM="xterm-256color")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("cp1252")
    assert "--gamma FLOAT" in text
    assert "discount factor, ?" in text
    assert "\x1b" not in text  # no terminal, no colours


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_keeps_what_was_learned_and_resume_goes_on(tmp_path):
    with training(tmp_path) as process:
        done = deepnp("resume run", tmp_path)  # meanwhile
        assert done.stderr.decode() == f"error: run is in use: process {process.pid} is training in it\n"
        assert done.returncode == 1
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, ACKNOWLEDGED)
    lines = out.decode().splitlines()
    assert lines[-3] == "stopped; what was learned so far is saved"
    assert lines[-1] == "  deepnp resume run"
    steps = int(lines[-2].split()[0].replace(",", ""))
    done = deepnp(f"resume run --steps {steps + 32}", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "32 steps in" in done.stdout.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_quiet_says_nothing_at_a_signal_either(tmp_path):
    with training(tmp_path, "--quiet") as process:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 130


@contextmanager
def training(folder: Path, *options: str) -> Iterator[subprocess.Popen]:
    """A training that has begun, and hears Ctrl-C also where these tests run in the background; it does not outlive the block."""
    command, pipe = [*COMMAND, *LONG.split(), *options], subprocess.PIPE
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdout=pipe,
        stderr=pipe,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 60
        while not (folder / "run" / "progress.csv").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (folder / "run" / "progress.csv").exists()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_reader_that_goes_away_is_no_fault(tmp_path):
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen([*COMMAND, "algorithms"], cwd=tmp_path, env=environment(), stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 1


BASH = """
. made/for/it
words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
          _tyro_deepnp deepnp "${@: -1}" ""; echo "${COMPREPLY[*]}"; }
words deepnp train sacv
words deepnp train sac --hindsight-r
"""


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="needs bash")
def test_completion_in_bash(tmp_path):
    done = deepnp("--tyro-write-completion bash made/for/it", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    done = subprocess.run(["bash", "-c", BASH], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["sacvalue", "--hindsight-reward"], done.stderr


def test_the_console_script_is_declared():
    lines = (ROOT / "setup.cfg").read_text().splitlines()
    assert "    deepnp = rl.cli:main" in lines
