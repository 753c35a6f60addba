"""What `train` and `tune` share: an algorithm, an environment, and settings to begin with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from tyro.conf import arg

import deepnp
from rl.algorithms import ALGORITHMS, Algorithm
from rl.cli import environments
from rl.cli.dispatch import Command, Group, Member
from rl.cli.usage import Usage
from rl.cli.values import key_values
from rl.training.recipes import Recipe, changed_settings, recipe_of

STEPS = 1_000_000  # of a training, where nobody says otherwise


@runtime_checkable
class Preset(Protocol):
    """A Config with settings of a publication."""

    __name__: str

    def deepunity(self, **settings: Any) -> Any: ...


PRESETS = ", ".join(name for name, algorithm in ALGORITHMS.items() if isinstance(algorithm.config, Preset))
VARIANTS: Mapping[str, str] = MappingProxyType(  # names of algorithms that are a setting here
    {
        "doubledqn": "dqn --double",
        "ddqn": "dqn --double",
        "duelingdqn": "dqn --dueling",
        "npg": "trpo --method npg",
        "tnpg": "trpo --method tnpg",
        "recurrentppo": "ppo --memory lstm",
        "maskableppo": "ppo",
        "her": "sac --hindsight future",
    }
)


@dataclass(frozen=True)
class Task:
    """What is learned."""

    env: Annotated[str, arg(metavar="ENVIRONMENT", help='an id, or "module:Id-v0"; `deepnp envs` lists them')]
    env_settings: Annotated[
        tuple[str, ...], arg(metavar="KEY=VALUE ...", help="keyword arguments of the environment", help_behavior_hint="")
    ] = ()
    recipe: Annotated[bool, arg(help="begin with the settings found for this task; options change them")] = False
    recipe_file: Annotated[
        Path | None, arg(metavar="FILE", help="the same, from a file that `deepnp tune` wrote", help_behavior_hint="")
    ] = None
    preset: Annotated[
        Literal["deepunity"] | None,
        arg(
            help="begin with settings of a publication (Table 3.1 of the thesis on DeepUnity)",
            help_behavior_hint=f"(of {PRESETS})",
        ),
    ] = None
    threads: Annotated[int | None, arg(metavar="INT", help="to compute with", help_behavior_hint="(default: all)")] = None
    quiet: Annotated[bool, arg(help="print errors only")] = False

    def recipe_for(self, algorithm: Algorithm, copies: int) -> Recipe | None:
        """The recipe that is asked for, if one is; a preset as a recipe for so many copies of the environment."""
        if self.preset is not None:
            return self._preset_for(algorithm, copies)
        if not self.recipe and self.recipe_file is None:
            return None
        try:
            return recipe_of(algorithm.name, environments.find(self.env).rpartition(":")[2], self.recipe_file)
        except ValueError as error:
            raise Usage(str(error)) from error

    def _preset_for(self, algorithm, copies):
        if self.recipe or self.recipe_file is not None:
            raise Usage("expected --preset or a recipe, given both")
        config = algorithm.config
        if not isinstance(config, Preset):
            raise Usage(f"expected an algorithm with a preset {self.preset} ({PRESETS}), given {algorithm.name}")
        try:
            settings = changed_settings(config.deepunity(num_envs=copies))
        except ValueError as error:
            raise Usage(str(error).replace(f"{config.__name__}.num_envs", "--num-envs")) from error
        return Recipe(algorithm.name, environments.find(self.env), STEPS, settings, source="Table 3.1 of the thesis on DeepUnity")

    def environment(self, recipe: Recipe | None) -> tuple[str, dict[str, Any]]:
        """The environment's id and its keyword arguments."""
        given = key_values(self.env_settings)
        return environments.find(self.env), {**(recipe.env_settings if recipe else {}), **given}


def set_threads(threads: int | None) -> None:
    """Compute with so many threads from now on, where a number is given; Usage if it is none."""
    if threads is None:
        return
    try:
        deepnp.set_num_threads(threads)
    except ValueError as error:
        raise Usage(str(error)) from error


def folder_name(algorithm: str, env: str) -> str:
    """What a folder for this task is called."""
    return f"{algorithm}-{env.replace('/', '-').replace(':', '-')}"


def group_of(about: str, command_of: Callable[[Algorithm], Command]) -> Group:
    """A group with a command for each algorithm."""
    members = {name.lower(): _member(algorithm, command_of) for name, algorithm in ALGORITHMS.items()}
    return Group(about, members, "an algorithm", VARIANTS)


def _member(algorithm, command_of) -> Member:
    learns = "on-policy" if algorithm.takes.on_policy else "off-policy"
    summary = f"{learns}, {algorithm.takes.describe_actions()}; {algorithm.paper}"
    return Member(summary, lambda: command_of(algorithm))
