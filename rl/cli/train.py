"""`deepnp train ALGORITHM ENVIRONMENT`."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

from rl.algorithms import Algorithm
from rl.algorithms.offline.from_data import FromData
from rl.cli.collect import DATA, data_for
from rl.cli.seeds import Several, train_several
from rl.cli.settings import config_of, options_of, values_of
from rl.cli.task import STEPS, Task, folder_name, group_of, set_threads
from rl.cli.terminal import say
from rl.cli.training import Watching, learn
from rl.cli.usage import Usage
from rl.config import whole_number
from rl.experience.replay import prepare_memories
from rl.runs.record import Log
from rl.runs.run import Run, new_folder
from rl.runs.tensorboard import TensorBoard
from rl.schedules import FORMS
from rl.training.recipes import Recipe

ABOUT = """Train an agent, deepnp train ALGORITHM ENVIRONMENT [options]:
  deepnp train ppo CartPole-v1 --steps 1e5
  deepnp train sac HalfCheetah-v5 --recipe
  deepnp train ppo deepnp/Navigation-v0 --env-settings n=10 --num-envs 64
  deepnp train td3 my_module:MyEnv-v0
  deepnp train iql Pendulum-v1 --data data/random-Pendulum-v1.safetensors

With --help behind the algorithm, all options are listed, its settings among them."""


@dataclass(frozen=True)
class Options:
    """How long, and what is written."""

    steps: Annotated[int, arg(help="environment steps in all")] = STEPS
    seed: Annotated[int, arg(help="decides everything: weights, actions, batches, episodes")] = 0
    out: Annotated[
        Path | None,
        arg(metavar="FOLDER", help="the run's", help_behavior_hint="(default: runs/ALGORITHM-ENVIRONMENT, …-2, …)"),
    ] = None
    data: Annotated[str | None, arg(metavar="FILE", help=DATA, help_behavior_hint="")] = None
    keep: Annotated[int, arg(help="checkpoints to keep besides the last, the one before and the best")] = 0
    checkpoint_seconds: Annotated[float, arg(help="time between checkpoints; the end of a training is always one")] = 60.0
    tensorboard: Annotated[bool, arg(help="write TensorBoard's events, too; its viewer is another package")] = False
    on_nonfinite: Annotated[
        Literal["stop", "skip"], arg(help="when a loss or gradient is NaN or infinite: end, or leave that step out")
    ] = "stop"

    def check(self) -> None:
        """Raise Usage for numbers out of their range, and ImportError without tensorboardX, before a folder is made."""
        try:
            Log(self.checkpoint_seconds, self.keep)
            whole_number("--steps", self.steps, 1)
            whole_number("--seed", self.seed, 0)
        except ValueError as error:
            raise Usage(str(error)) from error
        if self.tensorboard:
            TensorBoard(Path())


def command_of(algorithm: Algorithm, recipe: Recipe | None = None) -> Callable[..., Any]:
    """The command that trains an algorithm; the defaults are a recipe's, where there is one."""
    form = options_of(recipe.config if recipe else algorithm.config())
    unknown, alone, unwatched, unchanged = Task(tyro.MISSING), Several(), Watching(), form()
    usual = Options(recipe.steps) if recipe else Options()

    def train(
        task: OmitArgPrefixes[FlagCreatePairsOff[Annotated[Task, arg(name="task")]]] = unknown,
        options: OmitArgPrefixes[FlagCreatePairsOff[Annotated[Options, arg(name="run")]]] = usual,
        several: OmitArgPrefixes[FlagCreatePairsOff[Annotated[Several, arg(name="seeds")]]] = alone,
        watching: OmitArgPrefixes[Annotated[Watching, arg(name="evaluation")]] = unwatched,
        settings: OmitArgPrefixes[Annotated[form, arg(name="")]] = unchanged,  # type: ignore[valid-type]
    ) -> Any:
        wanted = task.recipe_for(algorithm, values_of(settings)["num_envs"])
        if recipe is None and wanted is not None:
            if not task.quiet:
                say(": ".join(filter(None, [f"recipe ({wanted.source})", wanted.result])))
            return command_of(algorithm, wanted)
        options.check()
        watching.check(options.steps)
        config = config_of(algorithm.config, settings)
        env, env_settings = task.environment(recipe)
        set_threads(task.threads)
        data = data_for(algorithm, options.data)
        if several.seeds:
            several.check(asdict(options), asdict(watching))
            folder = _folder(options, algorithm.name, env)
            return train_several(algorithm, env, env_settings, config, options.steps, folder, several, watching, task.quiet)
        with algorithm.cls(env, config, options.seed, env_settings=env_settings) as agent:
            if data is not None and isinstance(agent, FromData):
                agent.learn_from(data)
            watching.check_agent(agent, env)
            run = _run(agent, env, options, watching)
            return learn(agent, run, env, env_settings, options.steps, watching, task.quiet, options.on_nonfinite)

    train.__doc__ = f"Train an agent with {algorithm.name} ({algorithm.paper}).\n\nA RATE is {FORMS}."
    return train


def _run(agent, env, options, watching) -> Run:
    prepare_memories(agent)  # before a folder is made: they may not fit
    log = {name: getattr(options, name) for name in ("checkpoint_seconds", "keep", "tensorboard")}
    record: dict[str, Any] = {} if watching == Watching() else {"evaluation": asdict(watching)}
    record |= {} if options.on_nonfinite == "stop" else {"on_nonfinite": options.on_nonfinite}
    return Run(_folder(options, agent.config.algorithm, env), agent, env, options.steps, **log, options=record)


def _folder(options, algorithm, env) -> Path:
    return options.out or new_folder(Path("runs") / folder_name(algorithm, env))


TRAIN = group_of(ABOUT, command_of)
