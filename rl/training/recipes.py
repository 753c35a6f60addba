"""Recipes: settings that were found for a task, and what came of them.

The folder rl/recipes has one TOML file per environment, with a table per algorithm:

    env = "Pendulum-v1"

    [SAC]
    steps = 20_000
    source = "where the settings come from"
    result = "what was measured"

    [SAC.settings]              # of the algorithm's Config; what is not named stays at its default
    lr = 1e-3                   # or a schedule: {linear = {start = 1e-3, end = 0}}
    hidden = [64, 64]

    [SAC.env_settings]          # keyword arguments of the environment, if it takes any

A file of one's own may hold the same; `rl.training.tune` writes one. A file that is no recipe, for
whatever reason, is refused with a ValueError that names it.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from deepnp.storage import write_atomically
from rl.algorithms import ALGORITHMS, Algorithm
from rl.config import settings_to_json, whole_number
from rl.schedules import rate_from_json

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
SIZE_LIMIT = 2**20  # bytes; nobody's recipe is longer
ENTRIES = {"steps", "source", "result", "settings", "env_settings"}


@dataclass(frozen=True)
class Recipe:
    """How to train an algorithm in an environment.

    Parameters
    ----------
    algorithm : str
        As `rl.ALGORITHMS` names it.
    env : str
        The environment's id.
    steps : int
        Environment steps to train for.
    settings : mapping
        Of the algorithm's Config; what is not named stays at its default.
    env_settings : mapping
        Keyword arguments of the environment.
    source, result : str
        Where the settings come from; what was measured with them.

    Raises
    ------
    ValueError
        For an unknown algorithm or setting, or a value out of its range.
    """

    algorithm: str
    env: str
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    env_settings: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    result: str = ""

    def __post_init__(self):
        object.__setattr__(self, "steps", whole_number("steps", self.steps, 1))
        for name in ("algorithm", "env", "source", "result"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"expected {name} as a string, given {getattr(self, name)!r:.80}")
        for name in ("settings", "env_settings"):
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"expected {name} as a table, given {getattr(self, name)!r:.80}")
        lists = {name: tuple(value) for name, value in self.settings.items() if isinstance(value, list)}
        object.__setattr__(self, "settings", {**self.settings, **lists})
        config_of(self.algorithm, self.settings)

    @property
    def config(self) -> Any:
        """The algorithm's Config with these settings."""
        return config_of(self.algorithm, self.settings)


def algorithm_named(name: str) -> Algorithm:
    """An algorithm of `rl.ALGORITHMS`; capitals do not matter.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    for known, algorithm in ALGORITHMS.items():
        if known.lower() == str(name).lower():
            return algorithm
    raise ValueError(f"expected one of the algorithms {sorted(ALGORITHMS)}, given {name!r:.80}")


def config_of(algorithm: str, settings: Mapping[str, Any]) -> Any:
    """The Config of an algorithm with some settings.

    Raises
    ------
    ValueError
        For an unknown algorithm or setting, or a value out of its range.
    """
    config = algorithm_named(algorithm).config
    unknown = sorted(map(str, settings.keys() - {f.name for f in fields(config)}))
    if unknown:
        raise ValueError(f"expected settings of {config.__name__}, given {', '.join(unknown)}")
    return config(**{name: rate_from_json(value) for name, value in settings.items()})


def changed_settings(config: Any) -> dict[str, Any]:
    """What differs in a Config from its defaults, as JSON knows it."""
    defaults, given = settings_to_json(type(config)()), settings_to_json(config)
    return {name: value for name, value in given.items() if value != defaults[name]}


def recipe_of(algorithm: str, env: str, path: str | os.PathLike | None = None) -> Recipe:
    """The recipe of an algorithm for an environment; this project's, or that of a file.

    Parameters
    ----------
    algorithm : str
        Capitals do not matter.
    env : str
        An id. This project's own form of a task of Gymnasium's, "deepnp/HalfCheetah-v5", has the
        same recipes.
    path : path, optional
        Of a recipe file.

    Raises
    ------
    ValueError
        If there is none, or the file is no recipe.
    FileNotFoundError
        If there is no such file.
    """
    name = algorithm_named(algorithm).name
    known = recipes() if path is None else read_recipes(path)
    for recipe in known:
        if recipe.algorithm == name and env in (recipe.env, f"deepnp/{recipe.env}"):
            return Recipe(**{**_entries(recipe), "env": env})
    alike = [recipe for recipe in known if env in (recipe.env, f"deepnp/{recipe.env}")]
    there = ", ".join(f"{recipe.algorithm} {recipe.env}" for recipe in alike or known)
    raise ValueError(f"expected a task that has a recipe ({there}), given {name} {env}")


def recipes() -> list[Recipe]:
    """All recipes of this project."""
    return [recipe for path in sorted(FOLDER.glob("*.toml")) for recipe in read_recipes(path)]


def read_recipes(path: str | os.PathLike) -> list[Recipe]:
    """The recipes of a file, one per algorithm.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no recipe file; the message names the file, what was expected and what was given.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a recipe file, found none at {path}")
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ValueError(f"expected at most {SIZE_LIMIT:,} bytes, given {path.stat().st_size:,}")
        return _parsed(tomllib.loads(path.read_bytes().decode()))
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"{path} is no recipe file: {error}") from error


def write_recipes(path: str | os.PathLike, chosen: Sequence[Recipe]) -> None:
    """Write recipes of one environment to a file that `read_recipes` reads, atomically.

    Raises
    ------
    ValueError
        As `text_of`.
    """
    text = text_of(chosen)
    write_atomically(path, lambda file: file.write(text.encode()))


def text_of(chosen: Sequence[Recipe]) -> str:
    """Recipes of one environment as TOML.

    Raises
    ------
    ValueError
        If there are none, they are of several environments, or hold what TOML does not know, such
        as None.
    """
    if len({recipe.env for recipe in chosen}) != 1:
        raise ValueError(f"expected recipes of one environment, given those of {sorted({recipe.env for recipe in chosen})}")
    return "\n".join([f"env = {_text(chosen[0].env)}\n", *map(_table, chosen)])


def _entries(recipe: Recipe) -> dict[str, Any]:
    return {f.name: getattr(recipe, f.name) for f in fields(recipe)}


def _parsed(document: dict[str, Any]) -> list[Recipe]:
    env = document.pop("env", None)
    if not document:
        raise ValueError("expected a table per algorithm, given none")
    for name, table in document.items():
        if not isinstance(table, dict) or "steps" not in table or table.keys() - ENTRIES:
            raise ValueError(f"expected [{name:.80}] as a table of steps and some of {sorted(ENTRIES)}, given {table!r:.200}")
    return [Recipe(algorithm_named(name).name, env, **table) for name, table in document.items()]


def _table(recipe: Recipe) -> str:
    lines = [f"[{recipe.algorithm}]", f"steps = {_text(recipe.steps)}"]
    lines += [f"{name} = {_text(text)}" for name in ("source", "result") if (text := getattr(recipe, name))]
    for name in ("settings", "env_settings"):
        if getattr(recipe, name):
            lines += ["", f"[{recipe.algorithm}.{name}]"]
            lines += [
                f"{key if key.isidentifier() else _text(key)} = {_text(value)}" for key, value in getattr(recipe, name).items()
            ]
    return "\n".join(lines) + "\n"


def _entry(item: tuple[str, Any]) -> str:
    name, value = item
    return f"{name if re.fullmatch('[A-Za-z0-9_-]+', name) else _text(name)} = {_text(value)}"


def _text(value: Any) -> str:
    """A value as TOML. Its strings, numbers and booleans are JSON's, but for the sign that JSON leaves as it is."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(_entry, value.items()))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if type(value) is int and abs(value) >= 10_000:
        return f"{value:_}"
    try:
        if value is None:
            raise TypeError("TOML has no None")
        return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected text, numbers, booleans and lists in a recipe, given {value!r:.80}") from error
