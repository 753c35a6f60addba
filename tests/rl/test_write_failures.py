"""A full disk, a folder that is gone, a disk that became read-only: a clear error, or the training goes on; nothing is lost."""

import errno
import json
import os
import shutil
import subprocess
import warnings
from contextlib import suppress
from functools import partial

import numpy as np
import pytest

from deepnp.storage import load_tensors
from rl import PPO, PPOConfig
from rl.runs.failures import WriteFailures
from rl.runs.record import read_config
from rl.runs.retention import best_of, checkpoint_of
from rl.runs.run import Run, read_progress
from rl.runs.table import Table
from rl.training.evaluations import Evaluations, read_evaluations
from rl.training.insides import Insides
from rl.training.resume import load_agent, resume
from rl.training.value_check import ValueCheck
from tests.rl.toys import Target, vectorize

pytestmark = pytest.mark.filterwarnings("ignore:.* begins new episodes")  # the toys tell no state
TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))
ROWS = list(range(32, 193, 32))


def world():
    return vectorize(Target, 2)


@pytest.fixture
def disk(tmp_path):
    """A disk of one megabyte, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk):
    """Leave no room."""
    with open(disk / "filler", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def begun(folder, **how):
    agent = PPO(world(), TINY)
    run = Run(folder, agent, "Target", 192, **{"checkpoint_seconds": 0, **how})
    agent.learn(192, lambda agent, metrics: agent.steps < 64, log=run)
    return agent, run


def test_a_full_disk_ends_the_training_with_a_clear_error(disk):
    agent, run = begun(disk / "run", keep=2)
    fill(disk)
    with pytest.raises(
        OSError, match=r"could not write .* of .*run: No space left on device.*The last good checkpoint is of step 64"
    ):
        agent.learn(192, log=run)
    assert 64 < agent.steps <= 192  # a checkpoint is written beside the training: its end is noticed an iteration or more later
    assert load_agent(disk / "run").steps == 64
    assert not list((disk / "run").rglob(".*.tmp"))
    (disk / "filler").unlink()
    agent.learn(192, log=run)  # nothing was lost: the rows that found no room are there
    assert read_progress(disk / "run")["steps"] == ROWS
    assert load_agent(disk / "run").steps == 192


def test_a_training_may_go_on_beside_a_full_disk(disk):
    pytest.importorskip("tensorboardX")
    agent, run = begun(disk / "run", on_write_error="warn", tensorboard=True)
    fill(disk)

    evaluations = Evaluations(None, Target, 32, episodes=2, on_write_error="warn")

    def make_room(agent, metrics):
        if agent.steps == 128:
            (disk / "filler").unlink()

    with pytest.warns(RuntimeWarning, match="No space left on device.*The training goes on") as caught:
        agent.learn(160, [evaluations, make_room], log=run)
    told = [str(warning.message).partition(":")[0] for warning in caught]
    assert len(told) == len(set(told)), told  # once each
    assert agent.steps == 160
    assert read_progress(disk / "run")["steps"] == ROWS[:-1]
    assert read_evaluations(disk / "run")[0].tolist() == [96, 128, 160]
    assert load_agent(disk / "run").steps == 160
    assert read_config(disk / "run")["total_steps"] == 160
    assert best_of(disk / "run").exists()


def test_a_disk_that_became_read_only(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    agent, run = begun(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        patch.setattr("rl.runs.table.open", refuse, raising=False)
        with pytest.raises(OSError, match="Read-only file system") as caught:
            agent.learn(192, log=run)
    assert caught.value.errno == errno.EROFS
    assert load_agent(tmp_path).steps == 64
    agent.learn(192, log=run)
    assert read_progress(tmp_path)["steps"] == ROWS


@pytest.mark.parametrize("how", ["stop", "warn"])
def test_a_folder_that_is_gone_stays_gone(tmp_path, how):
    """It may have been on a disk that was unmounted: what lies below is not ours."""
    agent, run = begun(tmp_path / "run", on_write_error=how)
    shutil.rmtree(tmp_path / "run")
    if how == "stop":
        with pytest.raises(FileNotFoundError, match=r"could not write progress\.csv of .*run: the folder is gone"):
            agent.learn(192, log=run)
        assert agent.steps == 96
        with pytest.raises(FileNotFoundError, match=r"could not write config\.json of .*run: the folder is gone"):
            agent.learn(224, log=run)
    else:
        with pytest.warns(RuntimeWarning, match="folder is gone"):
            agent.learn(192, log=run)
        assert agent.steps == 192
    assert not (tmp_path / "run").exists()
    agent.save(tmp_path / "elsewhere")  # the agent is whole
    assert PPO.load(tmp_path / "elsewhere").steps == agent.steps


def test_what_somebody_removed_is_written_again(tmp_path):
    agent, run = begun(tmp_path)
    agent.learn(96, log=run)
    for name in ("config.json", "progress.csv"):
        (tmp_path / name).unlink()
    agent.learn(192, log=run)
    run.close()
    assert read_progress(tmp_path)["steps"] == ROWS
    assert resume(tmp_path, world())[1].total_steps == 192


def test_a_checkpoint_that_fails_is_told_at_the_next_iteration(tmp_path, monkeypatch):
    agent, run = begun(tmp_path)
    before = load_tensors(checkpoint_of(tmp_path))[1]["steps"]

    def refuse(write, steps):
        raise OSError(errno.EIO, "Input/output error", "disk")

    monkeypatch.setattr(run._retention, "write", refuse)
    with pytest.raises(OSError, match=r"could not write a checkpoint of .*Input/output error.*checkpoint is of step 64") as caught:
        agent.learn(192, log=run)
    assert "besides, at its end: OSError" in caught.value.__notes__[0]
    assert load_tensors(checkpoint_of(tmp_path))[1]["steps"] == before


def test_the_best_that_could_not_be_written_is_no_bar(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    agent, run = begun(tmp_path, on_write_error="warn")
    with monkeypatch.context() as patch:
        patch.setattr(run._retention, "write_best", refuse)
        run.on_evaluation(agent, {"return": np.array([5.0])})
        with pytest.warns(RuntimeWarning, match="No space left"):
            run.wait()
    run.on_evaluation(agent, {"return": np.array([4.0])})
    run.wait()
    assert json.loads((tmp_path / "checkpoints" / "best.json").read_text()) == {"steps": 64, "return": 4.0}


def test_a_row_that_is_cut_short_is_taken_back(tmp_path):
    resource = pytest.importorskip("resource")
    table = Table(tmp_path / "t.csv")
    for steps in range(1, 5):
        table.append({"steps": steps, "loss": 1 / steps})
    size, limits = os.path.getsize(table.path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 3, limits[1]))  # the next row finds room for three bytes
    try:
        with pytest.raises(OSError, match=r"No space left|File too large"):
            table.append({"steps": 5, "loss": 0.2})
        after = os.path.getsize(table.path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert after == size
    table.append({"steps": 6, "loss": 0.1})
    np.testing.assert_array_equal(Table.read(table.path).columns()["steps"], [1, 2, 3, 4, 5, 6])


def test_a_failure_is_told_again_after_a_success():
    failures = WriteFailures("run", "warn")

    def write(fails):
        with failures.handled("rows"):
            if fails:
                raise OSError(errno.ENOSPC, "full", "file")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for fails in (True, True, False, True):
            write(fails)
    assert len(caught) == 2
    assert "could not write rows of run: full (file)" in str(caught[0].message)
    with pytest.raises(BlockingIOError, match=r"could not write rows of run: busy"), WriteFailures("run").handled("rows"):
        raise OSError(errno.EAGAIN, "busy")


@pytest.mark.parametrize("make", [Insides, partial(Evaluations, None, world, 1), partial(ValueCheck, None, world, 1)])
@pytest.mark.parametrize("given", ["ignore", None])
def test_another_word_than_stop_or_warn_is_refused_where_it_is_given(make, given):
    with pytest.raises(ValueError, match=f'expected on_write_error as "stop" or "warn", given {given!r}'):
        make(on_write_error=given)
