"""The examples on games and bodies, by their command lines; one of each kind of learner runs to the end."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import gymnasium
import numpy as np
import pytest

import rl
from examples.games import Game, picture

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("driver", "sorter", "dodger", "survivor", "crawler", "arm_reach", "arm_push", "navigation")


def run(folder, name, *arguments):
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(("name", "options"), [("navigation", ["--n", "3"]), ("arm_reach", [])])
def test_trains_resumes_and_plays(tmp_path, name, options):
    out = run(tmp_path, name, *options, "--steps", "3000", "--out", "here")
    assert "untrained:" in out
    assert "  trained:" in out
    picture = name.replace("_", "")
    written = ["config.json", "progress.csv", "checkpoints/last.safetensors", "learning_curve.svg", "learning_curve.png"]
    for file in (*written, f"{picture}.gif", f"{picture}.png"):
        assert (tmp_path / "here" / file).stat().st_size > 0, file
    resumed = run(tmp_path, name, "--resume", "here", "--steps", "4000")  # its options were recorded
    assert "training to 4,000 steps" in resumed
    assert resumed.splitlines()[-2] == run(tmp_path, name, "--play", "here").splitlines()[-2]


class Seeded(gymnasium.Env):
    """Each step pays what its seed says, and nothing else happens."""

    render_mode = "rgb_array"
    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 25}
    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    pays: ClassVar = {10_003: 3.0, 10_004: 5.0, 10_005: 9.0, 10_006: 1.0, 10_007: 4.0}
    filmed: ClassVar[list[int]] = []

    def __init__(self, render_mode=None):
        self.left, self.seed = 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left, self.seed = 3, seed
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(1, np.float32), self.pays[self.seed], self.left == 0, False, {}

    def render(self):
        self.filmed.append(self.seed)
        return np.zeros((48, 64, 3), np.uint8)


def test_the_median_episode_is_filmed(tmp_path):
    """Not the first that comes: that may be the one lap of twenty that fails."""
    gymnasium.register("deepnp/Seeded-v0", lambda **settings: Seeded(**settings))
    try:
        game = Game("Seeded", 1, rl.PPOConfig(num_envs=1, steps=8, batch_size=8), "figure", "label", seconds=1)
        agent = game.algorithm(Seeded(), game.settings, seed=0)
        picture(game, agent, tmp_path, seed=3)
    finally:
        del gymnasium.registry["deepnp/Seeded-v0"]
    assert set(Seeded.filmed) == {10_007}
    assert (tmp_path / "seeded.gif").stat().st_size > 0


@pytest.mark.parametrize("name", NAMES)
def test_settings_fit_the_game_and_its_infos_hold_the_figure(name):
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
