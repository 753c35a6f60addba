"""Damaged files: some of what `python -m benchmarks.fuzz` does."""

import numpy as np
import pytest

pytest.importorskip("resource")

from benchmarks import fuzz
from benchmarks.fuzz_mutations import changed_bytes, changed_json, changed_text
from deepnp.storage import load_tensors, save_tensors


def test_no_damage_does_harm():
    counts, faults, longest = fuzz.run(300, seed=2)
    assert not faults
    assert counts.total() == 300
    assert {kind for _, kind in counts} >= {"refused", "another"}
    assert longest < fuzz.SECONDS


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
