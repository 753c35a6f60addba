"""Several seeds in processes of their own."""

import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from rl import PPO, PPOConfig, SACConfig
from rl.config import settings_to_json
from rl.runs.record import read_config
from rl.runs.retention import checkpoint_of
from rl.schedules import Linear
from rl.training.evaluations import read_evaluations
from rl.training.processes import last_line
from rl.training.seeds import Seeds, portable, train_seed, train_seeds
from tests.rl.toys import Target

TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))
SPEC = EnvSpec("Target-v0", entry_point="tests.rl.toys:Target")


def test_seeds_are_trained_apart_and_a_failure_stays_alone(tmp_path):
    (tmp_path / "seed-3" / "checkpoints").mkdir(parents=True)
    (tmp_path / "seed-3" / "progress.csv").write_text("somebody's\n")
    result = train_seeds("ppo", SPEC, TINY, (0, 3), 320, tmp_path, episodes=3)
    assert result.scores.keys() == {0}
    assert result.failures.keys() == {3}
    assert "holds a run already" in result.failures[3]
    assert result.stopped == []
    steps, returns = read_evaluations(tmp_path / "seed-0")
    assert len(steps) == 10
    assert returns.shape == (10, 3)
    assert result.scores[0] == result.iqm == returns[-1].mean()
    agent = PPO([Target] * 2, TINY, seed=0).learn(320)  # the same as here
    observations = np.linspace(-1, 1, 7, dtype=np.float32)[:, None]
    np.testing.assert_allclose(
        PPO.load(checkpoint_of(tmp_path / "seed-0")).predict(observations), agent.predict(observations), 1e-4
    )
    assert "1 seed: interquartile mean" in result.describe()
    assert "seed 3: failed: " in result.describe()


def test_ctrl_c_ends_all_cleanly_and_the_same_call_goes_on(tmp_path, capsys):
    folders = [tmp_path / "seed-0", tmp_path / "seed-1"]

    def interrupt():
        while not all((folder / "progress.csv").exists() for folder in folders):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = train_seeds("PPO", SPEC, TINY, 2, 10**9, tmp_path, every=10**9, at_once=2)
    thread.join()
    assert result.stopped == [0, 1]
    assert "seed 1: stopped" in result.describe()
    steps = {folder: PPO.load(checkpoint_of(folder)).steps for folder in folders}
    assert all(0 < n < 10**9 for n in steps.values())
    assert all("stopped; what was learned so far is saved" in last_line(folder / "output.txt") for folder in folders)
    total = max(steps.values()) + 320
    every = max(320, total // 2)  # one of them may have taken many more steps than the other
    result = train_seeds("PPO", SPEC, TINY, 2, total, tmp_path, every=every, at_once=1, progress=True)
    assert result.scores.keys() == {0, 1}
    assert [PPO.load(checkpoint_of(folder)).steps >= total for folder in folders] == [True, True]


def job(folder, **changes):
    content = {"algorithm": "PPO", "env": portable(SPEC), "config": settings_to_json(TINY), "steps": 320, "every": 100}
    return {**content, "episodes": 2, "seed": 5, "folder": str(folder), **changes}


@pytest.mark.filterwarnings("ignore:Target-v0 begins new episodes")
def test_one_seed_is_a_run_like_any_other(tmp_path):
    assert train_seed(job(tmp_path))
    record = read_config(tmp_path)
    assert (record["algorithm"], record["env"], record["seed"], record["total_steps"]) == ("PPO", "Target-v0", 5, 320)
    assert record["config"]["num_envs"] == 2
    assert record["options"]["evaluation"] == {"eval_every": 100, "eval_episodes": 2}
    assert train_seed(job(tmp_path, steps=640))  # goes on
    assert PPO.load(checkpoint_of(tmp_path)).steps == 640


def test_a_folder_of_another_training_is_refused(tmp_path):
    assert train_seed(job(tmp_path / "seed-5", steps=32, every=32))
    for changes, name in (
        (dict(config=SACConfig(), algorithm="sac"), "algorithm 'PPO', given 'SAC'; .*; …$"),
        (dict(config=replace(TINY, epochs=2, lr=Linear(1e-3, 0))), "epochs 1, given 2; lr 0.0003, given {'linear': {[^;]*$"),
        (dict(env="CartPole-v1"), "env 'Target-v0', given 'CartPole-v1'$"),
        (dict(env_settings={"discrete": True}), "discrete None, given True$"),
    ):
        arguments = {"algorithm": "ppo", "env": SPEC, "config": TINY, **changes}
        with pytest.raises(ValueError, match=f"one of the same training: .* has {name}"):
            train_seeds(**arguments, seeds=[5], steps=32, folder=tmp_path)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (dict(algorithm="muzero"), ValueError, "one of the algorithms"),
        (dict(config=SACConfig()), TypeError, "expected a PPOConfig, given SACConfig"),
        (dict(config=PPOConfig(lr=lambda progress: 1e-3)), ValueError, "it was the function"),
        (dict(env="Nowhere-v0"), ValueError, "unknown environment"),
        (dict(env=Target), TypeError, "id or spec, for other processes make it, given type"),
        (dict(env=EnvSpec("A-v0", entry_point=Target)), ValueError, 'expected "module:class"'),
        (dict(env_settings={"x": object()}), ValueError, "arguments that JSON knows"),
        (dict(seeds=0), ValueError, "seeds as an integer >= 1"),
        (dict(seeds=[]), ValueError, "different numbers, given"),
        (dict(seeds=[1, 1]), ValueError, "different numbers, given"),
        (dict(seeds=np.array([2, 2])), ValueError, "different numbers, given"),
        (dict(seeds=[-1]), ValueError, "a seed as an integer >= 0"),
        (dict(steps=0), ValueError, "steps as an integer >= 1"),
        (dict(every=101), ValueError, "within 100 steps, given every 101"),
        (dict(at_once=0), ValueError, "at_once as an integer >= 1"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_begins(tmp_path, changes, error, message):
    arguments = {"algorithm": "ppo", "env": SPEC, "seeds": 1, "steps": 100, "folder": tmp_path, **changes}
    with pytest.raises(error, match=message):
        train_seeds(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_the_summary_of_several_seeds(tmp_path):
    result = Seeds(dict.fromkeys(range(5), tmp_path), {0: 1.0, 1: 2.0, 2: 6.0, 3: 100.0}, {})
    assert result.iqm == 4.0
    assert result.stopped == [4]
    assert result.interval[0] <= 4 <= result.interval[1]
    with pytest.raises(ValueError, match="at least one score"):
        _ = Seeds({0: tmp_path}, {}, {0: "why"}).iqm
