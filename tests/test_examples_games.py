"""The examples on games and bodies, by their command lines; one of each kind of learner runs to the end."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from examples.games import Game

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("driver", "sorter", "dodger", "survivor", "crawler", "arm_reach", "arm_push", "navigation")


def run(folder, name, *arguments):
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(("name", "options"), [("navigation", ["--n", "3"]), ("arm_reach", [])])
def test_trains_resumes_and_plays(tmp_path, name, options):
    out = run(tmp_path, name, *options, "--steps", "5000", "--out", "here")
    assert "untrained:" in out
    assert "  trained:" in out
    picture = name.replace("_", "")
    written = ["config.json", "progress.csv", "checkpoints/last.safetensors", "learning_curve.svg", "learning_curve.png"]
    for file in (*written, f"{picture}.gif", f"{picture}.png"):
        assert (tmp_path / "here" / file).stat().st_size > 0, file
    resumed = run(tmp_path, name, *options, "--resume", "here", "--steps", "9000")
    assert "training to 9,000 steps" in resumed
    assert resumed.splitlines()[-2] == run(tmp_path, name, *options, "--play", "here").splitlines()[-2]


@pytest.mark.parametrize("name", NAMES)
def test_settings_fit_the_game_and_it_tells_its_figure(name):
    module = importlib.import_module(f"examples.{name}")
    game: Game = module.GAME if name != "navigation" else module.game(2)
    env = game.vector(2)
    agent = game.algorithm(env, game.settings, seed=0)
    assert agent.config.num_envs == 2
    env.reset(seed=0)
    limit = env.spec.max_episode_steps
    for _ in range(limit):
        *_, terminated, truncated, infos = env.step(env.action_space.sample())
        if (terminated | truncated).any():
            assert game.figure in infos["final_info"]
            break
    else:
        pytest.fail(f"no episode ended in {limit} steps")
    env.close()
