"""`deepnp train ALGORITHM ENVIRONMENT`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

import deepnp
from rl.algorithms import ALGORITHMS, Algorithm
from rl.cli import environments
from rl.cli.dispatch import Group, Member
from rl.cli.settings import config_of, options_of
from rl.cli.terminal import complain, say
from rl.cli.training import Watching, learn
from rl.cli.usage import FAILED, STOPPED, Usage
from rl.cli.values import key_values
from rl.runs.run import Run, new_folder
from rl.schedules import FORMS
from rl.training.recipes import Recipe, recipe_of
from rl.training.seeds import train_seeds

ABOUT = """Train an agent, deepnp train ALGORITHM ENVIRONMENT [options]:
  deepnp train ppo CartPole-v1 --steps 1e5
  deepnp train sac HalfCheetah-v5 --recipe
  deepnp train ppo deepnp/Navigation-v0 --env-settings n=10 --num-envs 64
  deepnp train td3 my_module:MyEnv-v0

With --help behind the algorithm, all options are listed, its settings among them."""


@dataclass(frozen=True)
class Options:
    """How long, where, and what is written."""

    env: Annotated[str, arg(metavar="ENVIRONMENT", help='an id, or "module:Id-v0"; `deepnp envs` lists them')]
    steps: Annotated[int, arg(help="environment steps in all")] = 1_000_000
    seed: Annotated[int, arg(help="decides everything: weights, actions, batches, episodes")] = 0
    seeds: Annotated[
        tuple[int, ...], arg(metavar="INT ...", help="one agent for each of these, side by side", help_behavior_hint="")
    ] = ()
    env_settings: Annotated[
        tuple[str, ...], arg(metavar="KEY=VALUE ...", help="keyword arguments of the environment", help_behavior_hint="")
    ] = ()
    recipe: Annotated[bool, arg(help="begin with the settings found for this task; options change them")] = False
    recipe_file: Annotated[
        Path | None, arg(metavar="FILE", help="the same, from a file that `deepnp tune` wrote", help_behavior_hint="")
    ] = None
    out: Annotated[
        Path | None,
        arg(metavar="FOLDER", help="the run's", help_behavior_hint="(default: runs/ALGORITHM-ENVIRONMENT, …-2, …)"),
    ] = None
    keep: Annotated[int, arg(help="checkpoints to keep besides the last, the one before and the best")] = 0
    checkpoint_seconds: Annotated[float, arg(help="time between checkpoints; the end of a training is always one")] = 60.0
    tensorboard: Annotated[bool, arg(help="write TensorBoard's events, too")] = False
    threads: Annotated[
        int | None, arg(metavar="INT", help="to compute with; the result is the same", help_behavior_hint="(default: all)")
    ] = None
    quiet: Annotated[bool, arg(help="print errors only")] = False


def command_of(algorithm: Algorithm, recipe: Recipe | None = None) -> Callable[..., Any]:
    """The command that trains an algorithm; the defaults are a recipe's, where there is one."""
    form = options_of(recipe.config if recipe else algorithm.config())
    usual = Options(tyro.MISSING, recipe.steps) if recipe else Options(tyro.MISSING)
    unwatched, unchanged = Watching(), form()

    def train(
        options: OmitArgPrefixes[FlagCreatePairsOff[Annotated[Options, arg(name="run")]]] = usual,
        watching: OmitArgPrefixes[Annotated[Watching, arg(name="evaluation")]] = unwatched,
        settings: OmitArgPrefixes[Annotated[form, arg(name="")]] = unchanged,  # type: ignore[valid-type]
    ) -> Any:
        if recipe is None and (options.recipe or options.recipe_file):
            return command_of(algorithm, _recipe(algorithm, options))
        config = config_of(algorithm.config, settings)
        env_settings = {**(recipe.env_settings if recipe else {}), **key_values(options.env_settings)}
        return begin(algorithm, config, env_settings, options, watching)

    train.__doc__ = f"Train an agent with {algorithm.name} ({algorithm.paper}).\n\nA RATE is {FORMS}."
    return train


def begin(algorithm: Algorithm, config: Any, env_settings: Mapping[str, Any], options: Options, watching: Watching) -> int:
    """Train a new agent, or several; returns the exit code."""
    env = environments.find(options.env)
    if options.threads is not None:
        deepnp.set_num_threads(options.threads)
    if options.seeds:
        return begin_several(algorithm, config, env, env_settings, options, watching)
    with algorithm.cls(env, config, options.seed, env_settings=env_settings) as agent:
        folder = options.out or new_folder(_usual(algorithm, env))
        run = Run(
            folder,
            agent,
            env,
            options.steps,
            checkpoint_seconds=options.checkpoint_seconds,
            keep=options.keep,
            tensorboard=options.tensorboard,
            options={} if watching.eval_every is None else {"evaluation": asdict(watching)},
        )
        return learn(agent, run, env, env_settings, options.steps, watching, options.quiet)


def begin_several(
    algorithm: Algorithm, config: Any, env: str, env_settings: Mapping[str, Any], options: Options, watching: Watching
) -> int:
    """Train an agent for each seed; returns the exit code."""
    alone = {"--seed": options.seed, "--keep": options.keep, "--tensorboard": options.tensorboard}
    alone |= {"--stop-return": watching.stop_return is not None, "--patience": watching.patience is not None}
    if any(alone.values()):
        raise Usage(f"expected --seeds without {', '.join(name for name, value in alone.items() if value)}")
    folder = options.out or new_folder(_usual(algorithm, env))
    progress = not options.quiet
    every, episodes = watching.eval_every, watching.eval_episodes
    if progress:
        say(f"training {algorithm.name} in {env} to {options.steps:,} steps, seeds {', '.join(map(str, options.seeds))}")
    result = train_seeds(
        algorithm.name,
        env,
        config,
        options.seeds,
        options.steps,
        folder,
        env_settings=env_settings,
        every=every,
        episodes=episodes,
        progress=progress,
    )
    if progress:
        say(result.describe())
        say(f"everything is in {folder}")
    for seed, reason in result.failures.items():
        complain(f"seed {seed}: {reason}")
    return FAILED if result.failures else STOPPED if result.stopped else 0


def _usual(algorithm, env) -> Path:
    return Path("runs") / f"{algorithm.name}-{env.replace('/', '-').replace(':', '-')}"


def _recipe(algorithm, options) -> Recipe:
    env = environments.find(options.env)
    try:
        return recipe_of(algorithm.name, env, options.recipe_file)
    except ValueError as error:
        raise Usage(str(error)) from error


def _summary(algorithm) -> str:
    learns = "on-policy" if algorithm.takes.on_policy else "off-policy"
    return f"{learns}, {algorithm.takes.describe_actions()}; {algorithm.paper}"


def _member(algorithm) -> Member:
    return Member(_summary(algorithm), lambda: command_of(algorithm))


TRAIN = Group(ABOUT, {name.lower(): _member(algorithm) for name, algorithm in ALGORITHMS.items()}, "an algorithm")
