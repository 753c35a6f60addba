"""Runs grouped by what they share, and two of them side by side."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from rl import PPO, PPOConfig
from rl.runs.record import read_config
from rl.runs.run import Run
from rl.training.compare import MISSING, Difference, FirstUpdate, compare, print_comparison
from rl.training.evaluations import Evaluations, read_evaluations
from rl.training.groups import flat, groups_of, runs_of
from rl.training.results import results_table
from tests.rl.toys import Target, vectorize

TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))


def trained(folder, config=TINY, seed=0, total=128, env="Target", evaluated=True):
    agent = PPO(vectorize(Target, config.num_envs), config, seed=seed)
    run = Run(folder, agent, env, total)
    agent.learn(total, Evaluations(folder, Target, 64, episodes=3) if evaluated else None, log=run)
    run.close()
    return folder


def change(folder, changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_runs_are_grouped_by_what_they_share(tmp_path):
    for seed in range(2):
        trained(tmp_path / "a" / f"seed-{seed}", seed=seed)
    trained(tmp_path / "b", replace(TINY, lr=1e-2, epochs=2))
    trained(tmp_path / "c", total=160)  # longer, but the same
    change(tmp_path / "c", {"config": {**read_config(tmp_path / "c")["config"], "new_setting": None}})
    change(tmp_path / "c", {"options": {"evaluation": {"eval_every": 64, "stop_return": None}}})  # it learned the same
    trained(tmp_path / "d", env="Other")
    groups = groups_of([tmp_path / "a", tmp_path / "b", tmp_path / "c", tmp_path / "d", tmp_path / "a" / "seed-0"])
    assert [(g.label, g.env, [f.name for f in g.folders]) for g in groups] == [
        ("PPO epochs=1, lr=0.0003", "Target", ["seed-0", "seed-1", "c"]),
        ("PPO epochs=2, lr=0.01", "Target", ["b"]),
        ("PPO", "Other", ["d"]),
    ]
    assert runs_of(tmp_path) == [tmp_path / name for name in ("a/seed-0", "a/seed-1", "b", "c", "d")]
    with pytest.raises(FileNotFoundError, match=r"with a config\.json, or a folder of such, found none in .*nowhere"):
        runs_of(tmp_path / "nowhere")


def test_a_label_that_gets_too_long_is_the_folder_s_name(tmp_path):
    trained(tmp_path / "a")
    trained(tmp_path / "many" / "seed-4", replace(TINY, lr=1e-2, epochs=2, gamma=0.5, lam=0.5, clip=0.1, entropy_coef=0.01))
    assert [group.label for group in groups_of([tmp_path / "a", tmp_path / "many"])] == ["PPO a", "PPO many"]


def test_names_are_joined_by_dots():
    assert flat({"a": 1, "b": {"c": {}, "d": {"e": [2]}}}) == {"a": 1, "b.d.e": [2]}


def test_equal_runs_are_equal(tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        path = trained(folder) / "progress.csv"
        names, first, *others = path.read_text().splitlines()
        cells = first.split(",")
        cells[names.split(",").index("episode_return")] = ""  # nobody had finished yet: equal, too
        path.write_text("\n".join([names, ",".join(cells), *others, ""]))
    result = compare(tmp_path / "a", tmp_path / "b")
    assert result.settings == ()
    assert {d.name for d in result.circumstances} <= {"date"}
    assert (result.updates, result.first_update) == (4, None)
    assert result.improvement == 0.5
    np.testing.assert_array_equal(*result.scores)


def test_the_first_update_that_differs_is_named(tmp_path):
    a, b = trained(tmp_path / "a"), trained(tmp_path / "b")
    lines = (b / "progress.csv").read_text().splitlines()
    names, row = lines[0].split(","), lines[3].split(",")
    old = float(row[names.index("kl")])
    row[names.index("kl")] = "7.5"
    row[names.index("seconds")] = "1e6"  # the clock is not compared
    (b / "progress.csv").write_text("\n".join([*lines[:3], ",".join(row), lines[4].replace(",", "9,"), ""]))
    first = compare(a, b).first_update
    assert (first.number, first.steps) == (3, 96)
    assert first.differences == (Difference("kl", old, 7.5),)


def with_rows(folder, rows):
    (folder / "progress.csv").write_text("\n".join(["seconds,steps,kl,episode_return", *rows, ""]))
    return folder


def test_updates_are_matched_by_their_steps(tmp_path):
    a, b = trained(tmp_path / "a", total=32), trained(tmp_path / "b", total=32)
    with_rows(a, ["1,32,0.1,5", "2,64,0.2,6", "3,96,0.3,7"])
    with_rows(b, ["1,16,0.7,1", "2,64,0.2,6", "3,80,0.8,2", "4,96,0.3,"])
    result = compare(a, b)
    assert result.updates == 2
    assert result.first_update == FirstUpdate(2, 96, (Difference("episode_return", 7.0, MISSING),))
    result = compare(with_rows(a, ["1,32,0.1,5"]), with_rows(b, ["1,33,0.1,5"]))
    assert (result.updates, result.first_update) == (0, None)
    console = Console(width=100, record=True, file=io.StringIO())
    print_comparison(result, "a", "b", console)
    assert "no update of one is at a step of the other's" in console.export_text()


@pytest.mark.parametrize(("name", "value"), [("algorithm", ["PPO"]), ("env", {}), ("seed", "0"), ("config", 3)])
def test_a_damaged_record_is_named(tmp_path, name, value):
    folder = trained(tmp_path / "a", total=32)
    change(folder, {name: value})
    for call in (lambda: compare(folder, folder), lambda: groups_of(folder), lambda: results_table(folder)):
        with pytest.raises(ValueError, match=rf"config\.json is not a run's: expected {name} as"):
            call()


def test_settings_and_circumstances_that_differ(tmp_path):
    a, b = trained(tmp_path / "a"), trained(tmp_path / "b", replace(TINY, lr=1e-2), seed=3)
    change(a, {"versions": {"numpy": "2.0", "numba": "1"}})
    change(b, {"versions": {"numpy": "2.1", "numba": "1"}, "env_settings": {"n": 2}})
    result = compare(a, b)
    expected = [("seed", 0, 3), ("config.lr", 3e-4, 1e-2), ("env_settings.n", MISSING, 2)]
    assert list(result.settings) == [Difference(*values) for values in expected]
    assert Difference("versions.numpy", "2.0", "2.1") in result.circumstances
    assert "versions.numba" not in {d.name for d in result.circumstances}
    assert result.first_update.number == 1


def test_folders_of_seeds_are_compared_by_their_means(tmp_path):
    for seed in range(3):
        trained(tmp_path / "a" / f"seed-{seed}", seed=seed)
        trained(tmp_path / "b" / f"seed-{seed}", replace(TINY, lr=0.05), seed=seed)
    result = compare(tmp_path / "a", tmp_path / "b")
    assert [d.name for d in result.settings] == ["config.lr"]
    assert (result.updates, result.first_update, result.scored) == (None, None, "runs")
    means = [read_evaluations(tmp_path / "b" / f"seed-{seed}")[1][-1].mean() for seed in range(3)]
    np.testing.assert_array_equal(result.scores[1], means)
    wins = np.greater.outer(result.scores[1], result.scores[0]).mean()
    assert result.improvement == pytest.approx(wins)
    console = Console(width=120, record=True, file=io.StringIO())
    print_comparison(result, "a", "b", console)
    assert "interquartile mean of the last mean returns of 3 runs" in (text := console.export_text())
    assert "a run of b returns more than one of a with probability" in text
    one = compare(tmp_path / "a" / "seed-0", tmp_path / "b")
    assert ([len(scores) for scores in one.scores], one.scored) == ([1, 3], "runs")


def test_a_comparison_is_printed(tmp_path):
    a, b = trained(tmp_path / "a", evaluated=False), trained(tmp_path / "b", replace(TINY, lr=1e-2))
    change(a, {"command": ["/home/me/bin/deepnp", "train", "my env"]})
    console = Console(width=100, record=True, file=io.StringIO())
    print_comparison(compare(a, b), "[a]", "[b]", console)
    print_comparison(compare(b, b), "b", "b", console)
    text = console.export_text()
    for expected in (
        "config.lr",
        "0.0003",
        "update 1, at 32 steps, is the first that differs",
        "[a]: not evaluated",
        "deepnp train 'my env'",
        "interquartile mean of the 3 episodes of its last evaluation",
        "settings: no difference",
        "all 4 updates at common steps are equal",
        "an episode of b returns more than one of b with probability 0.50 [",
    ):
        assert expected in text, text
