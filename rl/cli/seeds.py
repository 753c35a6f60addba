"""`deepnp train … --seeds 0 1 2`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from rl.algorithms import Algorithm
from rl.cli.terminal import complain, say
from rl.cli.training import Watching
from rl.cli.usage import FAILED, STOPPED, Usage
from rl.runs.record import Log
from rl.training.processes import run_jobs
from rl.training.seeds import train_seeds

# Options of a training that stands alone.
SINGLE = (
    *("seed", "data", "keep", "checkpoint_seconds", "tensorboard", "on_nonfinite", "stop_return", "patience"),
    *("insides_every", "values_every"),
)


@dataclass(frozen=True)
class Several:
    """Several agents that differ in their seeds, in processes of their own."""

    seeds: Annotated[tuple[int, ...], arg(metavar="INT ...", help="one agent for each of these", help_behavior_hint="")] = ()
    at_once: Annotated[
        int | None, arg(metavar="INT", help="trained at the same time", help_behavior_hint="(default: one for each thread)")
    ] = None
    ray: Annotated[bool, arg(help="as tasks of a Ray cluster, that of RAY_ADDRESS or one of this machine")] = False

    def check(self, options: Mapping[str, Any], watching: Mapping[str, Any]) -> None:
        """Raise Usage for options that several seeds do not take."""
        given = {**options, **watching}
        given["on_nonfinite"] = given["on_nonfinite"] != "stop"
        given["checkpoint_seconds"] = given["checkpoint_seconds"] != Log().checkpoint_seconds
        wrong = [f"--{name.replace('_', '-')}" for name in SINGLE if given[name]]
        if wrong:
            raise Usage(f"expected --seeds without {', '.join(wrong)}")


def train_several(
    algorithm: Algorithm,
    env: str,
    env_settings: Mapping[str, Any],
    config: Any,
    steps: int,
    folder: Path,
    several: Several,
    watching: Watching,
    quiet: bool,
) -> int:
    """Train an agent for each seed; returns the exit code."""
    if not quiet:
        say(f"training {algorithm.name} in {env} to {steps:,} steps, seeds {', '.join(map(str, several.seeds))}")
    result = train_seeds(
        algorithm.name,
        env,
        config,
        several.seeds,
        steps,
        folder,
        env_settings=env_settings,
        every=watching.eval_every,
        episodes=watching.eval_episodes,
        at_once=several.at_once,
        progress=not quiet,
        runner=_runner(several.ray),
    )
    if not quiet:
        say(result.describe())
        say(f"everything is in {folder}")
        say("  the same command goes on with what was stopped" if result.stopped else f"  deepnp plot {folder}")
    for seed, reason in result.failures.items():
        complain(f"error: seed {seed}: {reason}")
    return FAILED if result.failures else STOPPED if result.stopped else 0


def _runner(ray: bool) -> Any:
    if not ray:
        return run_jobs
    from rl.cluster.tasks import RayTasks  # here, because it is needed here alone

    return RayTasks()
