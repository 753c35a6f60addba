"""Tuning: Optuna's trials, taken in this process (and once in others), and the recipe that comes of them."""

import importlib.util
import signal
import sys
import threading
import time

import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from rl import PPOConfig, SACConfig
from rl.runs.lock import FolderLock
from rl.training.processes import STOPPED, run_jobs
from rl.training.recipes import read_recipes
from rl.training.search import Choice, Range
from rl.training.statistics import score_text
from rl.training.trial import Told, _ask, open_study, run_trial
from rl.training.tune import tune

optuna = pytest.importorskip("optuna")

SPEC = EnvSpec("Target-v0", entry_point="tests.rl.toys:Target")
ENDLESS = EnvSpec("Endless-v0", entry_point="tests.rl.toys:Endless")
BAD = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=4, hidden=(8,), lr=1e-6, initial_sigma=0.3, anneal_lr=False)
LR = {"lr": Range(1e-6, 0.1, log=True)}


class Here(list):
    """Takes trials in this process; its items are what each was asked to do."""

    def __call__(self, jobs, at_once, threads, watch):
        codes = []
        for job in jobs:
            if STOPPED in codes:
                codes.append(None)
                continue
            self.append(dict(job.content))
            codes.append(0 if run_trial(dict(job.content)) else STOPPED)
        return codes


@pytest.fixture
def here():
    return Here()


def trials_of(folder):
    return optuna.load_study(study_name="deepnp", storage=f"sqlite:///{folder / 'study.db'}").trials


def search(folder, trials=6, here=run_jobs, **changes):
    arguments = {"config": BAD, "space": LR, "evaluations": 4, "episodes": 4, **changes}
    env, steps = arguments.pop("env", SPEC), arguments.pop("steps", 256)
    return tune("ppo", env, trials, steps, folder, runner=here, **arguments)


def test_it_finds_better_than_a_bad_start_and_writes_it_down(tmp_path, here):
    result = search(tmp_path, 5, here)
    first = trials_of(tmp_path)[0]
    assert first.params == {"lr": 1e-6}  # what it began with
    assert result.value > first.value + 0.02
    assert result.recipe.config.lr > 1e-4
    assert read_recipes(tmp_path / "best.toml") == [result.recipe]
    assert (result.recipe.env, result.recipe.steps, result.recipe.config.hidden) == ("Target-v0", 256, (8,))
    assert (result.complete + result.pruned, result.failures, result.stopped) == (5, {}, False)
    assert f"best: {score_text(result.value)} with num_envs=2" in result.describe()


def test_a_trial_s_value_is_the_mean_of_its_last_two_evaluations(tmp_path, here):
    search(tmp_path, 2, here, pruner="none")
    for trial in trials_of(tmp_path):
        reported = trial.intermediate_values
        assert list(reported) == [1, 2, 3, 4]
        assert trial.value == reported[4]
    told = Told(Asked(), None, 10)
    for steps, value in ((10, 1.0), (21, 2.0), (35, 6.0)):
        assert told.on_evaluation(At(steps), {"return": np.array([value, value])})
    assert told.value == 4.0
    assert told.trial.reports == [(1.0, 1), (1.5, 2), (4.0, 3)]


class At:
    """An agent at a step."""

    def __init__(self, steps):
        self.steps = steps


class Asked:
    """A trial of Optuna's, and its answer."""

    def __init__(self, prunes=False):
        self.reports, self.prunes = [], prunes

    def report(self, value, step):
        self.reports.append((value, step))

    def should_prune(self):
        return self.prunes


def test_what_optuna_prunes_ends():
    told = Told(Asked(prunes=True), None, 10)
    assert not told.on_evaluation(At(10), {"return": np.zeros(2)})
    assert told.pruned


def test_the_worse_half_is_pruned(tmp_path, here):
    space = {"lr": Choice((0.05, 1e-6)), "initial_sigma": Choice((0.3, 0.2))}
    result = search(tmp_path, 9, here, space=space)
    states = {trial.number: trial.state.name for trial in trials_of(tmp_path)}
    assert set(states.values()) == {"COMPLETE", "PRUNED"}
    assert result.pruned == list(states.values()).count("PRUNED")
    assert all(states[n] == "COMPLETE" for n in range(5))


def test_the_same_seed_finds_the_same(tmp_path, here):
    for name in "ab":
        search(tmp_path / name, 3, here)
    first, second = ([(t.params, t.value, t.intermediate_values) for t in trials_of(tmp_path / name)] for name in "ab")
    assert first == second
    assert len({str(params) for params, *_ in first}) == 3


def test_the_same_call_goes_on(tmp_path, here):
    search(tmp_path, 2, here)
    assert search(tmp_path, 2, here).complete == 2
    assert len(here) == 2
    result = search(tmp_path, 3, here)
    assert [job["number"] for job in here] == [0, 1, 2]
    assert result.complete + result.pruned == 3
    for changes, name in (
        ({"steps": 300}, "steps"),
        ({"config": PPOConfig()}, "config"),
        ({"env": ENDLESS}, "env"),
        ({"seed": 1}, "seed"),
    ):
        with pytest.raises(ValueError, match=f"or the same {name}: the study in"):
            search(tmp_path, 3, here, **changes)
    database = (tmp_path / "study.db").read_bytes()
    (tmp_path / "study.db").write_bytes(b"x" * len(database))
    with pytest.raises(ValueError, match=r"study\.db is no study of"):
        search(tmp_path, 3, here)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(ValueError, match=r"study\.json is not whole"):
        search(tmp_path, 3, here)


def test_a_trial_that_is_asked_to_end_is_taken_again(tmp_path, here, monkeypatch):
    report, asked = Told.on_evaluation, []

    def interrupt(self, agent, result):
        if len(here) == 2 and not asked:
            asked.append(True)
            signal.raise_signal(signal.SIGINT)
        return report(self, agent, result)

    monkeypatch.setattr(Told, "on_evaluation", interrupt)
    result = search(tmp_path, 3, here)
    assert result.stopped
    assert result.complete == 1
    assert ", stopped" in result.describe()
    assert search(tmp_path, 3, here).complete >= 1
    states = [trial.state.name for trial in trials_of(tmp_path)]
    assert states.count("FAIL") == 1
    assert states.count("COMPLETE") + states.count("PRUNED") == 3
    stopped, again = trials_of(tmp_path)[1:3]
    assert stopped.params == again.params


def test_a_trial_that_was_killed_is_taken_again(tmp_path, here):
    search(tmp_path, 1, here)
    study = open_study(tmp_path, here[0])
    params = {"lr": study.ask().suggest_float("lr", 1e-6, 0.1, log=True)}  # and then kill -9
    search(tmp_path, 2, here)
    killed, again = trials_of(tmp_path)[1:3]
    assert (killed.state.name, again.state.name) == ("FAIL", "COMPLETE")
    assert killed.params == again.params == params


def test_trials_that_diverge_or_cannot_be_are_pruned(tmp_path, here, capsys):
    broken = EnvSpec("Counter-v0", entry_point="tests.rl.toys:Counter")
    result = search(tmp_path / "a", 2, here, env=broken, env_settings={"broken": "reward"})
    assert (result.recipe, result.value, result.complete, result.pruned) == (None, None, 0, 2)
    assert not (tmp_path / "a" / "best.toml").exists()
    assert "pruned: 2" in result.describe()
    config = SACConfig(memory=100, batch_size=16, warmup=16, hidden=(8,))
    space = {"batch_size": Choice((16, 256))}
    result = tune("sac", SPEC, 4, 48, tmp_path / "b", config=config, space=space, evaluations=1, episodes=2, runner=here)
    assert result.pruned > 0
    assert result.complete + result.pruned == 4
    assert result.recipe.config.batch_size == 16
    assert "pruned: expected batch_size <= memory, given 256 and 100" in capsys.readouterr().out


def test_trials_run_in_processes_of_their_own(tmp_path):
    result = search(tmp_path, 2, at_once=2)
    assert result.complete == 2
    printed = [(tmp_path / "trials" / f"{n}.txt").read_text() for n in range(2)]
    assert sorted(text.partition(":")[0] for text in printed) == ["trial 0", "trial 1"]
    assert (tmp_path / "best.toml").exists()


def test_trials_that_wait_are_taken_once(tmp_path, here):
    """Several processes that begin at once, and a trial that waits: the first."""
    search(tmp_path, 1, here)
    study = open_study(tmp_path, here[0])
    for lr in (1e-3, 2e-3):
        study.enqueue_trial({"lr": lr})
    lock = FolderLock(tmp_path / "trials")
    taken = []
    threads = [
        threading.Thread(target=lambda: taken.append(_ask(open_study(tmp_path, here[0]), tmp_path / "trials"))) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    assert taken == []  # somebody else asks
    lock.release()
    for thread in threads:
        thread.join()
    assert sorted(trial.number for trial in taken) == [1, 2]


def test_two_do_not_tune_in_one_folder(tmp_path):
    lock = FolderLock(tmp_path)
    with pytest.raises(BlockingIOError, match="is in use"):
        search(tmp_path)
    lock.release()


def test_without_optuna_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "optuna")
    with pytest.raises(ImportError, match=r'pip install "deepnp-rl\[tune\]"'):
        search(tmp_path)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (dict(trials=0), ValueError, "trials as an integer >= 1"),
        (dict(steps=3), ValueError, "as many evaluations as steps, 3, given 4"),
        (dict(pruner="best"), ValueError, "pruner as one of"),
        (dict(config=SACConfig()), TypeError, "expected a PPOConfig"),
        (dict(space=["nothing"]), ValueError, "settings of PPOConfig to search"),
        (dict(env="Nowhere-v0"), ValueError, "unknown environment"),
        (dict(env_settings={"no": 1}), TypeError, "no"),
        (dict(env_settings={"discrete": None}), ValueError, "in a recipe, given None"),
        (dict(at_once=0), ValueError, "at_once as an integer >= 1"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_begins(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        search(tmp_path / "new", **changes)
    assert not (tmp_path / "new").exists()
