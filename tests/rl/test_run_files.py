"""What a run's folder outlives: two processes, power cuts, kills, damaged files."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from deepnp.storage import load_tensors
from rl import PPO, TD3, PPOConfig, TD3Config
from rl.runs.lock import FolderLock
from rl.runs.record import read_config
from rl.runs.retention import checkpoint_of, previous_of
from rl.runs.run import Run, new_folder, read_progress
from rl.runs.table import Table
from rl.training.resume import load_agent
from rl.training.train import train
from tests.rl.toys import Target, vectorize

pytestmark = pytest.mark.filterwarnings("ignore:.* begins new episodes")  # the toys tell no state
ROOT = Path(__file__).resolve().parents[2]
TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))


def world():
    return vectorize(Target, 2)


@pytest.fixture
def folder(tmp_path):
    """A run of 320 steps with a row each 32, whose last checkpoint is at 320 and the one before at 160."""
    agent = PPO(world(), TINY)
    run = Run(tmp_path / "run", agent, "Target", 320, checkpoint_seconds=np.inf)
    agent.learn(160, log=run)
    agent.learn(320, log=run)
    run.close()
    return run.folder


def resume(folder):
    agent = load_agent(folder, world())
    return agent, Run.resume(folder, agent)


def test_rows_that_are_whole_are_kept(tmp_path):
    path = tmp_path / "t.csv"
    table = Table(path)
    table.append({"steps": 1, "loss": 0.5})
    table.append({"steps": 2, "loss": np.float64(0.25), "return": np.float32(1)})  # a column more
    table.append({"steps": 3})
    whole = path.read_text()
    assert whole == "steps,loss,return\n1,0.5,\n2,0.25,1.0\n3,,\n"
    np.testing.assert_equal(
        Table.read(path).columns(), {"steps": [1, 2, 3], "loss": [0.5, 0.25, np.nan], "return": [np.nan, 1, np.nan]}
    )
    damaged = {
        whole + "4,0.1": [1, 2, 3],
        whole + "4,0.125,12": [1, 2, 3],  # all columns, but who knows how 12 would have gone on
        whole.replace("2,0.25,1.0", "2,0.25"): [1, 3],
        whole.replace("2,0.25,1.0", "2,0.25,1.0,9"): [1, 3],
        whole.replace("2,0.25,1.0", "2,x,1.0"): [1, 3],
        whole.replace("2,0.25,1.0", "\0\0\0\0"): [1, 3],
        whole.replace("2,0.25,1.0", ",0.25,1.0"): [1, 3],
        whole.replace("2,0.25,1.0", "inf,0.25,1.0"): [1, 3],
        whole.replace("2,0.25,1.0", '2,"0.25,1.0'): [1, 3],
        whole.replace("3,,\n", "\n"): [1, 2],
        whole[len("steps,loss,return\n") :]: [],
        "steps,steps,return\n1,2,3\n": [],
    }
    for text, kept in damaged.items():
        path.write_text(text)
        with pytest.warns(UserWarning, match="left out"):
            assert Table.read(path).columns().get("steps", []) == kept, text
    path.write_bytes(b"")
    assert Table.read(path).columns() == {}


def test_every_cut_of_a_file_reads_as_its_first_rows(tmp_path):
    path = tmp_path / "t.csv"
    table = Table(path)
    for steps in range(10, 60, 10):
        table.append({"steps": steps, "loss": steps / 7})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        clean = size == 0 or whole[:size].endswith(b"\n")
        if clean:
            read = Table.read(path)
        else:
            with pytest.warns(UserWarning, match="left out"):
                read = Table.read(path)
        assert read.rows == table.rows[: max(0, whole[:size].count(b"\n") - 1)]


def test_half_a_row_neither_stops_nor_poisons_a_resume(folder):
    with open(folder / "progress.csv", "a") as file:
        file.write("1.5,35")
    with pytest.warns(UserWarning, match="left out 1 lines"):
        agent, run = resume(folder)
    agent.learn(384, log=run)
    assert read_progress(folder)["steps"] == list(range(32, 385, 32))


def test_lost_rows_are_told_and_the_checkpoint_goes_on(folder):
    path = folder / "progress.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:5]))
    with pytest.warns(UserWarning, match="steps 128 to 320 are missing"):
        agent, run = resume(folder)
    run.close()
    path.unlink()
    with pytest.warns(UserWarning, match="steps 0 to 320 are missing"):
        agent, run = resume(folder)
    agent.learn(352, log=run)
    assert read_progress(folder)["steps"] == [352]


def test_a_longer_training_is_remembered(folder, capsys):
    agent, run = resume(folder)
    assert train(agent, run, 320, {})
    assert "nothing to train: 320 of 320 steps" in capsys.readouterr().out
    assert train(agent, run, 10, {})
    assert "nothing to train: 320 steps were taken already, more than 10\n" in capsys.readouterr().out
    assert train(agent, run, np.int64(384), {})
    run.close()
    _, run = resume(folder)
    assert run.total_steps == 384
    assert read_config(folder)["total_steps"] == 384


def test_a_run_can_be_resumed_from_its_first_moment_on(tmp_path):
    agent = PPO(world(), TINY, seed=3)
    Run(tmp_path / "run", agent, "Target", np.float64(64), options={"n": 5}).close()
    again, run = resume(tmp_path / "run")
    assert run.options == {"n": 5}
    again.learn(64, log=run).save(tmp_path / "resumed")
    agent.learn(64).save(tmp_path / "straight")
    expected, given = (load_tensors(tmp_path / name)[0] for name in ("straight", "resumed"))
    assert expected.keys() == given.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(given[name], array)


def test_a_folder_without_its_settings_is_begun_anew_but_rows_are_never_lost(folder):
    (folder / "config.json").unlink()
    agent = PPO(world(), TINY)
    with pytest.raises(FileExistsError, match="holds a run already"):
        Run(folder, agent, "Target", 64)
    (folder / "progress.csv").unlink()
    Run(folder, agent, "Target", 64)


def test_the_checkpoint_before_stands_in_for_a_damaged_one(folder, monkeypatch):
    def refuse(*_):
        raise OSError("one name a file")

    last = checkpoint_of(folder)
    blob = last.read_bytes()
    last.write_bytes(blob[: len(blob) // 2])
    with pytest.warns(UserWarning, match="went back to step 160"):
        agent, run = resume(folder)
    assert agent.steps == 160
    assert read_progress(folder)["steps"] == list(range(32, 161, 32))
    agent.learn(320, log=run)
    assert load_tensors(previous_of(folder))[1]["steps"] == 160  # the damaged one did not take its place
    assert load_tensors(last)[1]["steps"] == 320
    monkeypatch.setattr(os, "link", refuse)
    run.save(agent)
    assert load_tensors(previous_of(folder))[1]["steps"] == 320
    agent.learn(352, log=run)
    last.unlink()
    with pytest.warns(UserWarning, match="went back to step 320"):
        assert load_agent(folder).steps == 320


def test_a_damaged_memory_does_not_matter_to_who_only_plays(tmp_path):
    config = TD3Config(warmup=10**6, memory=64, batch_size=16, hidden=(8,))
    agent, marked = TD3(vectorize(Target, 1), config), np.full(64, 0.123, np.float32)
    run = Run(tmp_path / "run", agent, "Target", 60)
    agent.learn(40, log=run)
    agent.memory.rewards[:] = 0.123
    agent.learn(60, log=run)
    blob = checkpoint_of(run.folder).read_bytes()
    damaged = blob.replace(marked[:40].tobytes(), bytes(160))
    assert damaged != blob
    checkpoint_of(run.folder).write_bytes(damaged)
    played = load_agent(run.folder, memory=False)
    assert (played.steps, len(played.memory)) == (60, 0)
    with pytest.warns(UserWarning, match=r"'agent\.memory\.rewards' has changed.*; went back to step 40"):
        assert len(load_agent(run.folder).memory) == 40


def test_the_beginning_is_nothing_to_go_back_to(folder):
    beginning = PPO(world(), TINY)
    beginning.save(previous_of(folder))
    checkpoint_of(folder).write_bytes(b"nothing")
    for env in (None, world()):
        with pytest.raises(ValueError, match=r"last\.safetensors") as caught:
            load_agent(folder, env)
        assert "previous.safetensors, is of step 0, where nothing was learned yet" in caught.value.__notes__[0]
    assert checkpoint_of(folder).exists()


def test_nothing_to_go_back_to_is_told(folder, tmp_path):
    for path in (checkpoint_of(folder), previous_of(folder)):
        path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"last\.safetensors"):
        load_agent(folder)
    assert checkpoint_of(folder).exists()
    with pytest.raises(FileNotFoundError, match="found none"):
        load_agent(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="found none in"):
        Run.resume(tmp_path / "nowhere", PPO(world(), TINY))
    assert not (tmp_path / "nowhere").exists()
    for text in ("{", "[1]", "{}", "\0"):
        (folder / "config.json").write_text(text)
        with pytest.raises(ValueError, match=r"config\.json is not"):
            read_config(folder)


def test_folders_made_at_once_are_different(tmp_path, monkeypatch):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(new_folder, [tmp_path / "runs" / "walker"] * 40))
    assert len(set(folders)) == 40
    assert {folder.name for folder in folders} == {"walker"} | {f"walker-{i}" for i in range(2, 41)}
    monkeypatch.setattr(Path, "exists", lambda self, **_: False)  # another process makes it right after we looked
    assert new_folder(tmp_path / "runs" / "walker").name == "walker-41"


def test_one_training_at_a_time(folder):
    agent, run = resume(folder)
    with pytest.raises(BlockingIOError, match=f"in use: process {os.getpid()} is training in it"):
        Run.resume(folder, agent)
    code = f"from rl.runs.lock import FolderLock; FolderLock({str(folder)!r})"
    refused = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"BlockingIOError: {folder} is in use: process {os.getpid()}" in refused.stderr
    run.close()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_an_agent_that_was_loaded_before_somebody_else_trained_is_refused(folder):
    """Two resume at once: the second gets its turn when the first is done, with an agent of before."""
    late = load_agent(folder, world())
    agent, run = resume(folder)
    agent.learn(agent.steps + 32, log=run)
    run.close()
    with pytest.raises(ValueError, match=rf"latest checkpoint, at step {agent.steps}, given step {late.steps}"):
        Run.resume(folder, late)
    resume(folder)[1].close()  # the folder is free


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be opened")
def test_a_checkpoint_its_rows_and_their_folder_are_on_the_disk(folder, monkeypatch):
    """A power cut takes nothing of what was saved."""
    agent, run = resume(folder)
    agent.learn(agent.steps + 32, log=run)
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append(os.fstat(descriptor).st_ino) or fsync(descriptor))
    monkeypatch.setattr(os, "replace", lambda path, name: done.append(Path(name).name) or replace(path, name))
    run.save(agent)
    named = done.index("last.safetensors")
    for path in (folder / "progress.csv", checkpoint_of(folder)):
        assert path.stat().st_ino in done[:named], path
    assert checkpoint_of(folder).parent.stat().st_ino in done[named:]


def test_an_interrupt_says_how_to_go_on(tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        PPO(world(), TINY).learn(10**6, lambda agent, _: os.kill(os.getpid(), signal.SIGINT), log=tmp_path / "run")
    steps = load_agent(tmp_path / "run").steps
    assert caught.value.__notes__ == [f"what was learned until step {steps} is saved; to go on: deepnp resume {tmp_path / 'run'}"]


def test_what_a_careless_person_gives_as_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    agent = PPO(world(), TINY)
    for log in ("", 3, True, ["csv"]):
        with pytest.raises(TypeError, match=r'expected log as "csv", "tensorboard", a path or a Run'):
            agent.learn(32, log=log)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="file"):
        agent.learn(32, log="file")
    agent.learn(32, log="mine")
    with pytest.raises(FileExistsError, match=r"mine holds a run already.*Run\.resume.*`deepnp resume`"):
        agent.learn(64, log="mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine"]


def test_of_many_that_begin_in_one_folder_one_gets_it(tmp_path):
    def begin(_):
        try:
            return Run(tmp_path / "run", PPO(world(), TINY), "Target", 64)
        except (FileExistsError, BlockingIOError) as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(begin, range(8)))
    assert sum(isinstance(run, Run) for run in runs) == 1


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_killed_process_leaves_no_lock(tmp_path):
    hold = "import sys, time; from rl.runs.lock import FolderLock; lock = FolderLock(sys.argv[1])"
    code = f"{hold}; print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()
    with pytest.raises(BlockingIOError, match=f"process {process.pid}"):
        FolderLock(tmp_path)
    process.kill()
    process.communicate()
    FolderLock(tmp_path)


WRITER = """
import sys
import numpy as np
from rl.runs.run import Run
from tests.rl.test_run_files import TINY, world
from rl import PPO

folder = sys.argv[1]
agent = PPO(world(), TINY)
run = Run(folder, agent, "Target", 10**9, checkpoint_seconds=0)
print("begun", flush=True)
while True:  # nothing but writing, so that the kill comes in the middle of it
    agent.steps += 32
    run.on_update(agent, {"steps": agent.steps, "loss": 0.5, **({"return": 1.0} if agent.steps % 1024 == 0 else {})})
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_killed_runs_can_be_resumed(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(10):
        folder = tmp_path / str(i)
        command = [sys.executable, "-c", WRITER, str(folder)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        agent, run = resume(folder)  # without a warning: no row is half, no checkpoint is missing
        steps = read_progress(folder).get("steps", [])
        assert steps == list(range(32, agent.steps + 1, 32))
        agent.learn(agent.steps + 32, log=run)
        run.close()
        assert json.loads((folder / "config.json").read_text())["total_steps"] == agent.steps
