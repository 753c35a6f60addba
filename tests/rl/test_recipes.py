"""Recipes: those of this project are what was measured, and files of others are read or refused."""

from pathlib import Path

import numpy as np
import pytest

import rl
from examples import arm_push, arm_reach, crawler, dodger, driver, navigation, sorter, survivor, train_walker
from rl.schedules import Cosine
from rl.training.recipes import (
    FOLDER,
    Recipe,
    changed_settings,
    read_recipes,
    recipe_of,
    recipes,
    write_recipes,
)

GAMES = [g.GAME for g in (arm_push, arm_reach, crawler, dodger, driver, sorter, survivor)] + [navigation.game(10)]
GOOD = Recipe("SAC", "Pendulum-v1", 20_000, {"lr": 1e-3, "hidden": [64, 64], "memory": 30_000}, {"g": 9.5}, 'by "hand"\x7f', "−134")


@pytest.mark.parametrize("recipe", recipes(), ids=lambda r: f"{r.algorithm} {r.env}")
def test_every_recipe_can_be_trained(recipe):
    assert recipe.source
    assert recipe.result
    assert changed_settings(recipe.config).keys() <= recipe.settings.keys()


@pytest.mark.parametrize("recipe", recipes(), ids=lambda r: f"{r.algorithm} {r.env}")
def test_the_page_of_recipes_has_its_line(recipe):
    page = (FOLDER.parents[1] / "docs" / "recipes.md").read_text()
    command = f"deepnp train {recipe.algorithm.lower()} {recipe.env} --recipe"
    line = f"| {recipe.env} | {recipe.algorithm} | {recipe.steps:,} | {recipe.result} | `{command}` |"
    assert line in page.splitlines(), f"docs/recipes.md lacks\n{line}"


def test_the_page_of_recipes_has_no_other_lines():
    page = (FOLDER.parents[1] / "docs" / "recipes.md").read_text()
    assert page.count(" --recipe` |") == len(recipes())


@pytest.mark.parametrize("game", GAMES, ids=lambda g: g.name)
def test_examples_and_recipes_agree(game):
    recipe = recipe_of(game.settings.algorithm, game.id)
    assert (recipe.config, recipe.steps, dict(recipe.env_settings)) == (game.settings, game.steps, game.options)


def test_the_walker_and_its_recipe_agree():
    assert recipe_of("PPO", train_walker.ENV).config == rl.PPOConfig(num_envs=64, **train_walker.WALKER)


def test_a_recipe_is_found_by_its_names():
    assert recipe_of("sac", "HalfCheetah-v5").config == rl.SACConfig(warmup=10_000, batch_size=128, lr=1e-3)
    native = recipe_of("SAC", "deepnp/HalfCheetah-v5")
    assert native.env == "deepnp/HalfCheetah-v5"
    assert native.config == recipe_of("SAC", "HalfCheetah-v5").config
    with pytest.raises(ValueError, match=r"that has a recipe \(.*SAC HalfCheetah-v5.*\), given SAC Nowhere-v0"):
        recipe_of("sac", "Nowhere-v0")
    with pytest.raises(ValueError, match=r"one of the algorithms \[.*'DDPG'.*given 'muzero'"):
        recipe_of("muzero", "HalfCheetah-v5")


def test_written_recipes_are_read_again(tmp_path):
    path = tmp_path / "pendulum.toml"
    other = Recipe("PPO", "Pendulum-v1", 1e5, changed_settings(rl.PPOConfig(lr=Cosine(3e-4, 0.0, 0.05))))
    write_recipes(path, [GOOD, other])
    assert read_recipes(path) == [GOOD, other]
    assert recipe_of("ppo", "Pendulum-v1", path) == other
    assert other.config.lr == Cosine(3e-4, 0.0, 0.05)
    assert "steps = 20_000" in path.read_text()
    with pytest.raises(ValueError, match="of one environment"):
        write_recipes(path, [GOOD, recipe_of("sac", "HalfCheetah-v5")])
    with pytest.raises(ValueError, match="in a recipe, given nan"):
        write_recipes(path, [Recipe("SAC", "A-v0", 1, {}, {"x": np.nan})])
    with pytest.raises(ValueError, match="in a recipe, given None"):
        write_recipes(path, [Recipe("SAC", "A-v0", 1, {}, {"x": [{"y": None}]})])
    assert read_recipes(path) == [GOOD, other]  # as it was


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a table per algorithm, given none"),
        ('env = "A-v0"', "a table per algorithm, given none"),
        ("[SAC]\nsteps = 1", "expected env as a string, given None"),
        ('env = "A-v0"\n[SAC]', r"expected \[SAC\] as a table of steps"),
        ('env = "A-v0"\nSAC = 3', r"expected \[SAC\] as a table of steps"),
        ('env = "A-v0"\n[SAC]\nsteps = 1\nstep = 2', r"expected \[SAC\] as a table of steps"),
        ('env = "A-v0"\n[SAC]\nsteps = nan', "steps as an integer >= 1, given nan"),
        ('env = "A-v0"\n[MUZERO]\nsteps = 1', "one of the algorithms"),
        ('env = "A-v0"\n[SAC]\nsteps = 1\nsettings = 3', "settings as a table, given 3"),
        ('env = "A-v0"\n[SAC]\nsteps = 1\nsettings = {learning_rate = 1}', "settings of SACConfig, given learning_rate"),
        ('env = "A-v0"\n[SAC]\nsteps = 1\nsettings = {lr = -1}', "SACConfig.lr as a number"),
        ("env = \x00", "is no recipe file"),
        ("a = " + "[" * 100_000, "is no recipe file"),
        ("#" * 2**21, "at most 1,048,576 bytes"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_recipes(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"found none at .*none\.toml"):
        read_recipes(tmp_path / "none.toml")
    with pytest.raises(FileNotFoundError, match="found none at"):
        read_recipes(tmp_path)


def test_damaged_recipes_are_read_or_refused(tmp_path, rng):
    """Bytes changed, dropped and doubled in all recipes of this project: ValueError or a recipe, never anything else."""
    path, outcomes = tmp_path / "damaged.toml", []
    texts = [file.read_bytes() for file in sorted(FOLDER.glob("*.toml"))]
    for _ in range(400):
        data = bytearray(texts[rng.integers(len(texts))])
        for _ in range(rng.integers(1, 4)):
            place, kind = rng.integers(len(data)), rng.integers(3)
            if kind == 0:
                data[place] = rng.integers(256)
            elif kind == 1:
                del data[place : place + rng.integers(1, 20)]
            else:
                data[place:place] = data[place : place + rng.integers(1, 20)]
        path.write_bytes(data)
        try:
            outcomes.append(bool(read_recipes(path)))
        except ValueError:
            outcomes.append(False)
    assert 40 < sum(outcomes) < 360


def test_recipes_are_installed_with_the_package():
    lines = (Path(rl.__file__).resolve().parents[1] / "setup.cfg").read_text().splitlines()
    assert any(line.startswith("rl = ") and "recipes/*.toml" in line for line in lines)
