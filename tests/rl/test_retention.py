"""Which checkpoints stay, and that nothing else does."""

import os
import shutil

import numpy as np
import pytest

from deepnp.storage import load_tensors
from rl import PPO, SAC, PPOConfig, SACConfig
from rl.runs.record import Log
from rl.runs.retention import best_of, checkpoint_of, kept_of, previous_of
from rl.runs.run import Run, read_progress
from rl.training.evaluations import Evaluations
from rl.training.resume import load_agent, resume
from tests.rl.toys import Target, vectorize

pytestmark = pytest.mark.filterwarnings("ignore:.* begins new episodes")  # the toys tell no state
TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))
SMALL = SACConfig(warmup=8, batch_size=8, hidden=(8,), memory=1000)


def world():
    return vectorize(Target, 2)


def begun(folder, **how):
    agent = PPO(world(), TINY)
    return agent, Run(folder, agent, "Target", 320, **how)


def steps_of(path):
    return load_tensors(path)[1]["steps"]


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_the_last_few_stay(tmp_path):
    agent, run = begun(tmp_path, keep=3, checkpoint_seconds=0)
    agent.learn(320, log=run)
    kept = kept_of(tmp_path)
    assert len(kept) == 3
    assert list(kept)[-1] == 320
    assert [steps_of(path) for path in kept.values()] == list(kept)
    assert steps_of(checkpoint_of(tmp_path)) == 320
    assert steps_of(previous_of(tmp_path)) == list(kept)[-2]
    assert names(tmp_path) == sorted(["last.safetensors", "previous.safetensors", *(path.name for path in kept.values())])
    assert os.path.samefile(checkpoint_of(tmp_path), kept[320])  # stored once


def test_without_hard_links_there_are_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("one name a file")

    monkeypatch.setattr(os, "link", refuse)
    agent, run = begun(tmp_path, keep=2, checkpoint_seconds=np.inf)
    for steps in (32, 64, 96):
        agent.learn(steps, log=run)
    assert {steps: steps_of(path) for steps, path in kept_of(tmp_path).items()} == {64: 64, 96: 96}
    assert steps_of(previous_of(tmp_path)) == 64
    assert names(tmp_path) == ["last.safetensors", "previous.safetensors", "step-64.safetensors", "step-96.safetensors"]


def returns(*values):
    return {"return": np.array(values), "length": np.ones(len(values))}


def test_the_best_stays_also_over_a_resume(tmp_path):
    agent, run = begun(tmp_path)
    for steps, mean in ((32, -5.0), (64, 3.0), (96, 2.0)):
        agent.learn(steps, log=run)
        run.on_evaluation(agent, returns(mean - 1, mean + 1))
    run.wait()
    assert steps_of(best_of(tmp_path)) == 64
    run.close()
    agent, run = resume(tmp_path, world())
    agent.learn(128, log=run)
    for mean, best in ((2.9, 64), (3.0, 64), (np.nan, 64), (3.1, 128)):
        run.on_evaluation(agent, returns(mean))
        run.wait()
        assert steps_of(best_of(tmp_path)) == best
    assert load_agent(tmp_path, best=True).steps == 128


def test_evaluations_keep_the_best(tmp_path):
    agent, run = begun(tmp_path)
    agent.learn(320, Evaluations(None, Target, 32, episodes=3), log=run)
    table = Evaluations(tmp_path, Target, 32).table.columns()
    best = int(np.argmax(table["mean"]))
    assert steps_of(best_of(tmp_path)) == table["steps"][best]


def test_the_best_has_no_replay_memory(tmp_path):
    agent = SAC(Target(), SMALL)
    run = Run(tmp_path, agent, "Target", 100)
    agent.learn(100, log=run)
    run.on_evaluation(agent, returns(1.0))
    run.wait()
    assert os.path.getsize(best_of(tmp_path)) < os.path.getsize(checkpoint_of(tmp_path))
    best = load_agent(tmp_path, best=True)
    observations = np.linspace(-1, 1, 5, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(best.predict(observations), agent.predict(observations))


def test_a_resumed_run_forgets_what_it_takes_again(tmp_path):
    """The last checkpoint is damaged, and so is its second name: the training goes back to the one before."""
    agent, run = begun(tmp_path, keep=3, checkpoint_seconds=np.inf)
    for steps in (32, 64, 96, 128):
        agent.learn(steps, log=run)
    run.close()
    with open(checkpoint_of(tmp_path), "r+b") as file:
        file.truncate(100)
    with pytest.warns(UserWarning, match="went back to step 96"):
        agent, run = resume(tmp_path, world())
    assert list(kept_of(tmp_path)) == [64, 96]
    agent.learn(128, log=run)
    assert list(kept_of(tmp_path)) == [64, 96, 128]
    assert read_progress(tmp_path)["steps"] == [32, 64, 96, 128]


def test_an_old_one_stands_in_where_two_are_damaged(tmp_path):
    agent, run = begun(tmp_path, keep=3, checkpoint_seconds=np.inf)
    for steps in (32, 64, 96):
        agent.learn(steps, log=run)
    run.close()
    for path in (checkpoint_of(tmp_path), previous_of(tmp_path)):
        blob = path.read_bytes()
        path.unlink()  # the other name stays whole
        path.write_bytes(blob[:-1])
    kept_of(tmp_path)[96].unlink()
    with pytest.warns(UserWarning, match="went back to step 64"):
        agent, run = resume(tmp_path, world())
    agent.learn(96, log=run)
    assert steps_of(checkpoint_of(tmp_path)) == 96
    assert read_progress(tmp_path)["steps"] == [32, 64, 96]


def test_what_a_kill_left_is_removed(tmp_path):
    agent, run = begun(tmp_path, keep=1)
    agent.learn(64, log=run)
    run.close()
    before = names(tmp_path)
    left = [
        "checkpoints/next.safetensors",
        "checkpoints/link.safetensors",
        "checkpoints/.0123abcd.4567cdef.tmp",
        ".0123abcd.4567cdef.tmp",
    ]
    for name in left:
        shutil.copyfile(checkpoint_of(tmp_path), tmp_path / name)
    resume(tmp_path, world())
    assert names(tmp_path) == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_the_same_names_over_and_over(tmp_path):
    """Killed between two renames, last and previous are one file: `rename` then leaves both names as they are."""
    agent, run = begun(tmp_path)
    agent.learn(32, log=run)
    previous_of(tmp_path).unlink()
    os.link(checkpoint_of(tmp_path), previous_of(tmp_path))
    agent.learn(64, log=run)
    assert names(tmp_path) == ["last.safetensors", "previous.safetensors"]
    assert (steps_of(previous_of(tmp_path)), steps_of(checkpoint_of(tmp_path))) == (32, 64)


def test_another_run_s_best_is_no_bar(tmp_path):
    agent, run = begun(tmp_path, keep=2)
    agent.learn(64, log=run)
    run.on_evaluation(agent, returns(1e9))
    run.wait()
    run.close()
    for name in ("config.json", "progress.csv"):
        (tmp_path / name).unlink()
    agent, run = begun(tmp_path)
    assert names(tmp_path) == ["last.safetensors", "previous.safetensors"]
    run.on_evaluation(agent, returns(0))
    run.wait()
    assert steps_of(best_of(tmp_path)) == 0


def test_how_a_run_is_written_down_is_remembered_and_can_be_changed(tmp_path):
    agent, run = begun(tmp_path, keep=2, checkpoint_seconds=np.inf)
    agent.learn(32, log=run)
    run.close()
    agent, run = resume(tmp_path, world())
    for steps in (64, 96, 128):
        agent.learn(steps, log=run)
    run.close()
    assert list(kept_of(tmp_path)) == [96, 128]
    agent, run = resume(tmp_path, world(), log=Log(keep=1))
    agent.learn(160, log=run)
    assert list(kept_of(tmp_path)) == [160]


@pytest.mark.skipif(os.name == "nt", reason="modes and links")
def test_modes_follow_the_umask_and_links_are_followed(tmp_path):
    (tmp_path / "big-disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "big-disk", target_is_directory=True)
    before = os.umask(0o027)
    try:
        agent, run = begun(tmp_path / "run", keep=1)
        agent.learn(64, Evaluations(None, Target, 32, episodes=2), log=run)
        run.close()
    finally:
        os.umask(before)
    assert (tmp_path / "run").is_symlink()
    files = [path for path in (tmp_path / "big-disk").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}
    assert (tmp_path / "big-disk" / "checkpoints").stat().st_mode & 0o777 == 0o750
    assert resume(tmp_path / "run", world())[0].steps == 64
