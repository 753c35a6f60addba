"""The table of results that runs make."""

import json

import pytest

from rl.runs.table import Table
from rl.training.results import results_table


def run(folder, seed, returns=None, seconds=60.0, steps=100, env="Task-v0", **record):
    folder.mkdir(parents=True)
    told = {
        "algorithm": "PPO",
        "env": env,
        "seed": seed,
        "total_steps": 100,
        "config": {},
        "command": ["/x/bin/deepnp", "train", "a b"],
    }
    (folder / "config.json").write_text(json.dumps(told | record))
    Table(folder / "progress.csv").append({"steps": steps, "seconds": seconds})
    if returns is not None:
        Table(folder / "evaluations.csv").append({"steps": steps, **{f"return_{i}": x for i, x in enumerate(returns)}})


def test_a_line_per_environment_and_algorithm(tmp_path):
    for seed, score in enumerate((10.0, 20.0, 30.0, 1000.0)):
        run(tmp_path / "many" / f"seed-{seed}", 3 - seed, [score - 1, score + 1], 60.0 * (1 + seed), 100 - seed)
    run(tmp_path / "one", 0, [5.0], algorithm="SAC", command=["python", "x|y"])
    run(tmp_path / "none", 7, env="Another-v0", command=None)
    header, rule, *lines = results_table([tmp_path / "many", tmp_path / "one", tmp_path / "none"]).splitlines()
    assert header == "| task | algorithm | steps | seeds | return: IQM [95 %] | minutes each | command |"
    assert rule.count("---") == 7
    assert lines[0] == "| Another-v0 | PPO | 100 | 7 | not evaluated | 1.0 | `–` |"
    assert lines[1].startswith("| Task-v0 | PPO | 97 | 0, 1, 2, 3 | 25 [10, ")  # the mean of 20 and 30
    assert lines[1].endswith(" | 2.5 | `deepnp train 'a b'` |")
    assert lines[2] == "| Task-v0 | SAC | 100 | 0 | 5, one run | 1.0 | `python 'x\\|y'` |"
    with pytest.raises(FileNotFoundError, match="found none in"):
        results_table([tmp_path / "nowhere"])
