"""TensorBoard's events, read as TensorBoard reads them."""

import builtins
import subprocess
import sys

import numpy as np
import pytest

from rl import PPO, PPOConfig
from rl.runs.run import Run, read_progress
from rl.runs.tensorboard import TensorBoard
from rl.training.evaluations import Evaluations
from rl.training.resume import resume
from tests.rl.toys import Target, vectorize

pytest.importorskip("tensorboardX")
from benchmarks.kills import shown_by_tensorboard

pytestmark = pytest.mark.filterwarnings("ignore:.* begins new episodes")  # the toys tell no state
TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))


def world():
    return vectorize(Target, 2)


def test_it_shows_what_progress_has(tmp_path):
    agent = PPO(world(), TINY)
    run = Run(tmp_path, agent, "Target", 96, tensorboard=True)
    agent.learn(96, Evaluations(None, Target, 64, episodes=3), log=run)
    shown, progress = shown_by_tensorboard(tmp_path), read_progress(tmp_path)
    for name in ("episode_return", "policy_loss", "kl"):
        np.testing.assert_array_equal(shown[f"train/{name}"][:, 0], progress["steps"])
        np.testing.assert_allclose(shown[f"train/{name}"][:, 1], progress[name], rtol=1e-6)
    table = Evaluations(tmp_path, Target, 64).table.columns()
    np.testing.assert_allclose(shown["evaluation/return"], np.transpose([table["steps"], table["mean"]]), rtol=1e-6)
    assert "train/steps" not in shown


def test_a_resumed_run_shows_no_row_twice(tmp_path):
    agent = PPO(world(), TINY)
    run = Run(tmp_path, agent, "Target", 160, tensorboard=True, checkpoint_seconds=np.inf)
    agent.learn(64, log=run)
    run.on_start(agent)
    for steps in (96, 128):  # the process is killed before another checkpoint
        agent.steps = steps
        run.on_update(agent, {"steps": steps, "policy_loss": 1e6})
    run._board.on_end(agent, None)
    run._signals.on_end(agent, None)
    run.close()
    assert shown_by_tensorboard(tmp_path)["train/policy_loss"][:, 0].tolist() == [32, 64, 96, 128]
    agent, run = resume(tmp_path, world())
    agent.learn(160, log=run)
    shown = shown_by_tensorboard(tmp_path)["train/policy_loss"]
    np.testing.assert_array_equal(shown[:, 0], [32, 64, 96, 128, 160])
    assert shown[:, 1].max() < 1e6


def test_half_an_event_at_the_end_hides_nothing(tmp_path):
    """What a kill leaves."""
    agent = PPO(world(), TINY)
    run = Run(tmp_path, agent, "Target", 64, tensorboard=True)
    agent.learn(64, log=run)
    path = next(tmp_path.glob("events*"))
    path.write_bytes(path.read_bytes()[:-30])
    run.close()
    agent, run = resume(tmp_path, world())
    agent.learn(128, log=run)
    assert shown_by_tensorboard(tmp_path)["train/policy_loss"][:, 0].tolist() == [32, 96, 128]


def test_the_word_is_enough(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PPO-Target", "PPO-Target-2"):
        PPO(world(), TINY).learn(32, log="tensorboard")
        assert "train/policy_loss" in shown_by_tensorboard(tmp_path / "runs" / name)
    PPO(world(), TINY).learn(32, log="csv")
    assert not shown_by_tensorboard(tmp_path / "runs" / "PPO-Target-3")
    assert read_progress(tmp_path / "runs" / "PPO-Target-3")["steps"] == [32]


def test_events_alone(tmp_path):
    PPO(world(), TINY).learn(64, TensorBoard(tmp_path / "a" / "b"))
    assert shown_by_tensorboard(tmp_path / "a" / "b")["train/policy_loss"][:, 0].tolist() == [32, 64]


def test_without_tensorboardx_it_says_how_to_install_it(tmp_path, monkeypatch):
    def lacking(name, *rest):
        if name.startswith("tensorboardX"):
            raise ImportError(name)
        return imported(name, *rest)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lacking)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError, match=r'pip install "deepnp-rl\[tensorboard\]"'):
        PPO(world(), TINY).learn(32, log="tensorboard")
    with pytest.raises(ImportError, match=r'pip install "deepnp-rl\[tensorboard\]"'):
        Run("mine", PPO(world(), TINY), "Target", 32, tensorboard=True)
    assert not list(tmp_path.iterdir())


def test_nothing_imports_it_before_it_is_wanted():
    code = "import rl, rl.runs, sys; assert 'tensorboardX' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
