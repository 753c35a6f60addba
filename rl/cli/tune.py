"""`deepnp tune ALGORITHM ENVIRONMENT`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

from rl.algorithms import Algorithm
from rl.cli.settings import RENAMED, config_of, options_of, values_of
from rl.cli.task import Task, folder_name, group_of, set_threads
from rl.cli.terminal import complain, say
from rl.cli.usage import FAILED, STOPPED, Usage
from rl.schedules import FORMS
from rl.training.recipes import Recipe
from rl.training.search import Domain, domain_of
from rl.training.tune import BEST, Tuned
from rl.training.tune import tune as tune_task

ABOUT = """Search for settings, deepnp tune ALGORITHM ENVIRONMENT [options]:
  deepnp tune sac Pendulum-v1 --trials 20 --steps 1e4
  deepnp tune ppo CartPole-v1 --search lr=1e-5:1e-2:log gamma
  deepnp train sac Pendulum-v1 --recipe-file runs/tune-SAC-Pendulum-v1/best.toml

The same command again goes on with a search that was stopped. The settings that are given are
where it begins, and what is not searched keeps them."""


@dataclass(frozen=True)
class Search:
    """How settings are searched."""

    trials: Annotated[int, arg(help="trainings in all, those that are given up included")] = 50
    steps: Annotated[int, arg(help="environment steps of each")] = 100_000
    search: Annotated[
        tuple[str, ...],
        arg(
            metavar="NAME[=DOMAIN] ...",
            help="settings to search; a DOMAIN is LOW:HIGH, LOW:HIGH:log or VALUE,VALUE,…",
            help_behavior_hint="(default: the usual ones)",
        ),
    ] = ()
    evaluations: Annotated[int, arg(help="evaluations of each training")] = 10
    eval_episodes: Annotated[int, arg(help="episodes of an evaluation")] = 10
    seed: Annotated[int, arg(help="of all trainings, and of the search")] = 0
    pruner: Annotated[Literal["median", "hyperband", "none"], arg(help="which trainings are given up early")] = "median"
    at_once: Annotated[
        int | None, arg(metavar="INT", help="trainings at the same time", help_behavior_hint="(default: one for each thread)")
    ] = None
    out: Annotated[
        Path | None, arg(metavar="FOLDER", help="the search's", help_behavior_hint="(default: runs/tune-ALGORITHM-ENVIRONMENT)")
    ] = None


def command_of(algorithm: Algorithm, recipe: Recipe | None = None) -> Callable[..., Any]:
    """The command that searches settings of an algorithm; it begins with a recipe's, where there is one."""
    form = options_of(recipe.config if recipe else algorithm.config())
    unknown, usual, unchanged = Task(tyro.MISSING), Search(), form()

    def tune(
        task: OmitArgPrefixes[FlagCreatePairsOff[Annotated[Task, arg(name="task")]]] = unknown,
        search: OmitArgPrefixes[FlagCreatePairsOff[Annotated[Search, arg(name="search")]]] = usual,
        settings: OmitArgPrefixes[Annotated[form, arg(name="")]] = unchanged,  # type: ignore[valid-type]
    ) -> Any:
        wanted = task.recipe_for(algorithm, values_of(settings)["num_envs"])
        if recipe is None and wanted is not None:
            return command_of(algorithm, wanted)
        config = config_of(algorithm.config, settings)
        env, env_settings = task.environment(recipe)
        set_threads(task.threads)
        folder = search.out or Path("runs") / f"tune-{folder_name(algorithm.name, env)}"
        if not task.quiet:
            say(f"tuning {algorithm.name} in {env}: trials of {search.steps:,} steps, {search.trials} in all, in {folder}")
        tuned = tune_task(
            algorithm.name,
            env,
            search.trials,
            search.steps,
            folder,
            config=config,
            space=space_of(search.search),
            env_settings=env_settings,
            evaluations=search.evaluations,
            episodes=search.eval_episodes,
            seed=search.seed,
            pruner=search.pruner,
            at_once=search.at_once,
        )
        return report(tuned, f"deepnp train {algorithm.name.lower()} {env} --recipe-file {folder / BEST}", task.quiet)

    tune.__doc__ = f"Search for settings of {algorithm.name}, with Optuna.\n\nA RATE is {FORMS}."
    return tune


def space_of(words: Sequence[str]) -> dict[str, Domain | None] | None:
    """What `--search lr=1e-5:1e-2:log gamma` asks for; None for nothing, which is the usual."""
    space: dict[str, Domain | None] = {}
    settings = {option: setting for setting, option in RENAMED.items()}
    for word in words:
        name, equals, domain = word.partition("=")
        name = name.replace("-", "_")
        name = settings.get(name, name)
        if not name.isidentifier() or name in space:
            raise Usage(f"expected --search NAME or NAME=DOMAIN, each name once, given {word!r}")
        try:
            space[name] = domain_of(domain) if equals else None
        except ValueError as error:
            raise Usage(f"--search {name}: {error}") from error
    return space or None


def report(tuned: Tuned, follow: str, quiet: bool) -> int:
    """Print what was found; returns the exit code."""
    if not quiet:
        say(tuned.describe())
        if tuned.recipe is not None:
            say(f"  {follow}")
    for number, reason in tuned.failures.items():
        complain(f"error: trial {number}: {reason}")
    return STOPPED if tuned.stopped else FAILED if tuned.recipe is None else 0


TUNE = group_of(ABOUT, command_of)
