"""The benchmarks as commands: each says what it takes, on any terminal and without the peers that it compares with."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from benchmarks import layers, peer_time_to_return, time_to_return
from benchmarks.peer_time_to_return import TASKS, Stopwatch
from benchmarks.time_to_return import comparison

ROOT = Path(__file__).resolve().parents[1]
FILES = [path for path in (ROOT / "benchmarks").iterdir() if not path.name.startswith("_")]
COMMANDS = sorted(path.stem for path in FILES if path.is_dir() or "__main__" in path.read_text())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_printed(name):
    if name == "mutants":
        pytest.importorskip("cosmic_ray")
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    settings = dict(cwd=ROOT, capture_output=True, text=True, check=False)
    result = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, **settings)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage:")


@pytest.mark.parametrize("row", [row for row in layers.ROWS if row.group != "large"], ids=lambda row: row.name)
def test_every_row_of_the_layers_runs(row):
    row.ours()()


@pytest.fixture
def watch(tmp_path):
    return Stopwatch(TASKS["ppo-cartpole"], 100, 1, tmp_path / "curves" / "curve.csv")


def evaluations(monkeypatch, watch, *returns):
    """Let evaluations have these returns, one after another, and take a quarter of a second each."""
    coming = iter(returns)
    clock = SimpleNamespace(now=0.0)

    def evaluate(act, seed):
        clock.now += 0.25
        return next(coming)

    monkeypatch.setattr(peer_time_to_return.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(watch, "evaluate", evaluate)
    watch.since = clock.now
    return clock


def test_a_mark_counts_when_it_is_reached_twice(monkeypatch, watch):
    clock = evaluations(monkeypatch, watch, 99, 120, 80, 110, 100)
    over = []
    for steps in (2000, 4000, 6000):
        clock.now += 10
        over.append(watch.is_over(steps, act=None))
    assert over == [False, False, True]
    assert watch.result() == {"reached": True, "minutes": 0.5, "steps": 6000, "best": 120}
    assert watch.curve.read_text().split()[1:] == [
        "2000,10.00,99.00,nan",
        "4000,20.00,120.00,80.00",
        "6000,30.00,110.00,100.00",
    ]


@pytest.mark.parametrize(("steps", "seconds"), [(1999, 60), (100_000, 1)])
def test_training_ends_at_its_limits(monkeypatch, watch, steps, seconds):
    clock = evaluations(monkeypatch, watch, 50)
    clock.now += 1
    assert not watch.is_over(1999, act=None)  # too early to evaluate
    clock.now += seconds
    assert watch.is_over(steps, act=None)
    assert not watch.result()["reached"]


def test_an_evaluation_is_the_mean_of_ten_episodes_with_their_own_seeds(watch):
    single = gymnasium.make("CartPole-v1")
    lengths = []
    for seed in range(5, 15):
        single.reset(seed=seed)
        lengths.append(next(n for n in itertools.count(1) if single.step(0)[2]))
    assert watch.evaluate(lambda observation: 0, 5) == np.mean(lengths)
    assert len(set(lengths)) > 1


@pytest.mark.parametrize("settings", time_to_return.OURS)
def test_our_training_ends_when_the_mark_is_reached(settings, tmp_path):
    watch = Stopwatch(TASKS["ppo-cartpole"], 5, 5, tmp_path / "curve.csv")  # any policy lasts so long
    time_to_return.train(settings, "ppo-cartpole", watch, seed=0)
    assert watch.result()["reached"]
    assert watch.result()["steps"] == 2048


def test_every_task_has_settings_of_ours():
    for name, task in TASKS.items():
        of_learning = time_to_return.learning.TASKS[name]
        assert (task.env, task.algorithm) == (of_learning.env, of_learning.algorithm)


def test_a_peer_s_training_is_driven_by_its_own_interface(tmp_path):
    (tmp_path / "stable_baselines3.py").write_text(PEER)
    script = ROOT / "benchmarks" / "peer_time_to_return.py"
    arguments = ["sb3", "ppo-cartpole", "3", "20", "1", "curve.csv"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    settings = dict(cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    result = subprocess.run([sys.executable, str(script), *arguments], **settings)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["reached"]
    assert found["steps"] == 4000


PEER = """
class PPO:
    def __init__(self, policy, env, seed, device):
        assert (policy, env.spec.id, seed, device) == ("MlpPolicy", "CartPole-v1", 3, "cpu")
        self.num_timesteps = 0

    def learn(self, steps, reset_num_timesteps):
        self.num_timesteps += steps

    def predict(self, observation, deterministic):
        if self.num_timesteps < 4000:
            return int(observation[2] < 0), None  # falls at once
        return int(observation[2] > 0), None
"""


def result(reached, minutes):
    return {"reached": reached, "minutes": minutes, "steps": 1000, "best": -1.0}


def test_who_did_not_reach_the_mark_counts_with_the_minutes_it_had():
    ours, theirs = [result(True, 1.0), result(True, 2.0), result(True, 9.0)], [result(True, 6.0), result(True, 8.0)]
    assert comparison(ours, theirs).startswith("3.5 × as long")
    assert comparison(ours, [*theirs, result(False, 60.0)]).startswith("more than 4.0 × as long")
    assert comparison([result(False, 1.0)], theirs).startswith("no ratio")
    assert comparison(ours, []).startswith("no ratio")
