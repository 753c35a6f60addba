"""`deepnp collect`, and `deepnp train --data`."""

import pytest

import rl
from rl.cli import main

TINY = "--hidden 8 --batch-size 16 --memory 1000"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(text):
    return main(text.split())


def test_from_random_actions_to_an_evaluation(here, capsys):
    assert run("collect Pendulum-v1 --steps 400 --seed 3") == 0
    assert "400 steps of 2 episodes, mean return" in capsys.readouterr().out
    path = here / "data" / "random-Pendulum-v1.safetensors"
    assert (rl.load_data(path).env, len(rl.load_data(path))) == ("Pendulum-v1", 400)
    assert run(f"train bc Pendulum-v1 --data {path} --steps 40 --eval-every 40 --eval-episodes 1 {TINY}") == 0
    assert (here / "runs" / "BC-Pendulum-v1" / "evaluations.csv").read_text().count("\n") == 2
    path.unlink()
    assert run("resume runs/BC-Pendulum-v1 --steps 60 --quiet") == 0


def test_of_a_run_and_of_its_memory(here, capsys):
    assert run(f"train td3 Pendulum-v1 --steps 100 --warmup 50 --quiet {TINY}") == 0
    assert run("collect Pendulum-v1 --run runs/TD3-Pendulum-v1 --steps 30 --quiet --out a/own") == 0
    assert run("collect Pendulum-v1 --run runs/TD3-Pendulum-v1 --replay --quiet") == 0
    assert rl.load_data("a/own").about["agent"] == "TD3"
    replay = rl.load_data("data/TD3-Pendulum-v1-replay-Pendulum-v1.safetensors")
    assert (len(replay), replay.about["agent_steps"]) == (100, 100)
    assert run(f"train awac Pendulum-v1 --data a/own --offline-steps 10 --steps 20 --quiet {TINY}") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("collect Nothing-v0", 2, "unknown environment"),
        ("collect Pendulum-v1 --steps 0", 2, "expected --steps as an integer >= 1"),
        ("collect Pendulum-v1 --replay", 2, "expected --run with --replay"),
        ("collect Pendulum-v1 --run runs/none", 1, "none in runs/none"),
        ("collect Pendulum-v1 --steps 10 --out there", 1, "there is there already"),
        ("train sac Pendulum-v1 --data there", 2, "expected an algorithm that learns from a data set (FQI, BC, "),
        ("train bc Pendulum-v1 --data none", 1, "none"),
        ("train bc Pendulum-v1 --data there", 1, "safetensors"),
        ("train bc Pendulum-v1 --data there --seeds 0 1", 2, "expected --seeds without --data"),
    ],
)
def test_what_makes_no_sense(here, capsys, text, code, message):
    (here / "there").write_bytes(b"no data set")
    if "--seeds" in text:
        run("collect Pendulum-v1 --steps 50 --quiet --out data.safetensors")
        text = text.replace("there", "data.safetensors")
    assert run(text) == code
    assert message in capsys.readouterr().err
    assert not (here / "runs").exists()


def test_without_a_data_set_a_line_says_so(here, capsys):
    assert run(f"train bc Pendulum-v1 --steps 20 --warmup 5 --quiet {TINY}") == 0
    assert "warning: BC is given no --data" in capsys.readouterr().err
