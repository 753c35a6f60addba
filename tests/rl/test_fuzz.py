"""Damaged files: some of what `python -m benchmarks.fuzz` does."""

import numpy as np
import pytest

pytest.importorskip("resource")

import rl
from benchmarks.fuzz import __main__ as fuzz
from benchmarks.fuzz.mutations import changed_bytes, changed_json, changed_text
from deepnp.storage import load_tensors, save_json, save_tensors
from rl.runs.record import log_of
from rl.training.evaluations import read_evaluations
from tests.rl.test_checkpoint import agent_of


def test_no_damage_does_harm():
    counts, faults, longest = fuzz.run(300, seed=2)
    assert not faults
    assert counts.total() == 300
    assert {kind for _, kind in counts} >= {"refused", "another"}
    assert longest < fuzz.SECONDS


class TestFound:
    """What it found, each by hand."""

    @pytest.fixture
    def saved(self, tmp_path):
        path = tmp_path / "agent.safetensors"
        agent_of(rl.ALGORITHMS["PPO"], normalize_observations=True).learn(40).save(path)
        return path, *load_tensors(path)

    @pytest.mark.parametrize(
        ("name", "value"), [("squares", -1.0), ("squares", np.nan), ("count", -3.0), ("count", np.inf), ("mean", np.inf)]
    )
    def test_moments_that_are_none(self, saved, name, value):
        path, tensors, metadata = saved
        array = np.full_like(tensors[f"normalizer.{name}"], value)
        save_tensors(path, {**tensors, f"normalizer.{name}": array}, metadata)
        with pytest.raises(ValueError, match=r"moments|NaN or infinity"):
            rl.load(path)

    def test_spaces_that_are_larger_than_the_networks(self, saved):
        path, tensors, metadata = saved
        metadata["space"]["observation"]["leaves"][0]["shape"] = [10**9]
        save_tensors(path, tensors, metadata)
        with pytest.raises(ValueError, match=r"expected spaces of networks with .* numbers, given one of 1,000,000,000 values"):
            rl.load(path)

    @pytest.mark.parametrize("name", [3, ["x"], {"id": "x"}])
    def test_an_environment_s_name_that_is_none(self, saved, name):
        path, tensors, metadata = saved
        save_tensors(path, tensors, {**metadata, "env": name})
        with pytest.raises(ValueError, match="expected the environment's name, given"):
            rl.load(path)

    @pytest.mark.parametrize("log", ["x", 3, {"unknown": 1}, [1]])
    def test_a_log_that_is_none(self, tmp_path, log):
        record = {"algorithm": "PPO", "env": "x", "seed": 0, "total_steps": 1, "config": {}, "log": log}
        save_json(tmp_path / "config.json", record)
        with pytest.raises(ValueError, match=r"config\.json does not say how the run is written down"):
            log_of(tmp_path)

    @pytest.mark.parametrize("steps", ["1e30", "-1e300"])
    def test_evaluations_at_no_step(self, tmp_path, steps):
        (tmp_path / "evaluations.csv").write_text(f"steps,seconds,return_0\n{steps},1,2\n")
        with pytest.raises(ValueError, match=r"evaluations\.csv: expected whole numbers of steps"):
            read_evaluations(tmp_path)


def load(path, what):
    tensors, _ = load_tensors(path)
    if what == "silent":
        return tensors["a"] * 2
    if what == "hang":
        while True:
            pass
    if what == "memory":
        return np.ones(10**15)
    return tensors["lacking"]


@pytest.mark.parametrize(
    ("what", "fault"), [("silent", "another agent"), ("hang", "hangs"), ("memory", "MemoryError"), ("key", "KeyError")]
)
def test_harm_is_noticed(tmp_path, monkeypatch, what, fault):
    monkeypatch.setattr(fuzz, "SECONDS", 0.2)
    path = tmp_path / "x"
    save_tensors(path, {"a": np.arange(5)})
    whole = path.read_bytes()
    target = fuzz.Target(path, lambda: load(path, what), changed_bytes, lambda loaded: np.array_equal(loaded, np.arange(5)))
    outcome = fuzz.outcome_of(target, whole, whole)
    assert outcome.startswith("FAULT")
    assert fault in outcome
    assert fuzz.outcome_of(target, whole[:-1], whole) == "refused"
    assert path.read_bytes() == whole


def test_a_worker_that_crashes_is_noticed(monkeypatch, tmp_path):
    script = """import json, os, sys
first = int(sys.argv[sys.argv.index("--worker") + 1])
print(json.dumps([first, "file"]), flush=True)
if first == 1:
    os.abort()
print(json.dumps(["refused", 0.1]), flush=True)
"""
    (tmp_path / "worker.py").write_text(script)
    popen = fuzz.subprocess.Popen
    monkeypatch.setattr(
        fuzz.subprocess, "Popen", lambda command, **k: popen([command[0], str(tmp_path / "worker.py"), *command[3:]], **k)
    )
    counts, faults, _ = fuzz.run(3, seed=0)
    assert dict(counts) == {("file", "refused"): 2, ("file", "FAULT"): 1}
    assert len(faults) == 1
    assert faults[0].startswith("1 file: the process ended with -6")


def test_mutants_differ_and_repeat(rng):
    whole, content = b'{"a": 1, "b": [true, 2.5]}\nx,1\ny,2\n', {"a": 1, "b": [True, {"c": 2.5}]}
    for change in (changed_bytes, changed_text):
        mutants = [change(whole, np.random.default_rng(i)) for i in range(200)]
        assert len(set(mutants)) > 100
        assert mutants == [change(whole, np.random.default_rng(i)) for i in range(200)]
    assert len({str(changed_json(content, rng)) for _ in range(200)}) > 40
    assert content == {"a": 1, "b": [True, {"c": 2.5}]}
