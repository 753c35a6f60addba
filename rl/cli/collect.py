"""`deepnp collect ENVIRONMENT`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, arg

from rl.algorithms import ALGORITHMS, Algorithm
from rl.algorithms.offline.from_data import FromData
from rl.cli import environments
from rl.cli.saved import CHECKPOINT, agent_of, environment_for
from rl.cli.task import folder_name
from rl.cli.terminal import complain, say
from rl.cli.usage import Usage
from rl.cli.values import key_values
from rl.config import whole_number
from rl.experience.data_files import load_data, save_data
from rl.experience.datasets import DataSet
from rl.experience.replay import ReplayMemory
from rl.training.collect import RANDOM
from rl.training.collect import collect as collect_data
from rl.training.minari_data import load_minari
from rl.training.resume import load_agent

MINARI = "minari:"
DATA = f'a data set to learn from: a file that `deepnp collect` wrote, or "{MINARI}NAME"'
FOLDER = Path("data")


def collect(
    env: Annotated[str, arg(metavar="ENVIRONMENT", help='an id, or "module:Id-v0"; `deepnp envs` lists them')],
    run: Annotated[
        Path | None, arg(metavar="FOLDER", help="the run whose agent acts", help_behavior_hint="(default: random actions)")
    ] = None,
    checkpoint: Annotated[str, arg(help=CHECKPOINT)] = "last",
    replay: Annotated[FlagCreatePairsOff[bool], arg(help="write what the run's replay memory holds, and take no step")] = False,
    steps: Annotated[int, arg(help="steps of the data set")] = 100_000,
    seed: Annotated[int, arg(help="of actions and episodes")] = 0,
    num_envs: Annotated[int, arg(help="environments stepped at once")] = 1,
    deterministic: Annotated[FlagCreatePairsOff[bool], arg(help="the most probable actions instead of draws")] = False,
    out: Annotated[
        Path | None, arg(metavar="FILE", help="to write", help_behavior_hint=f"(default: {FOLDER}/ENVIRONMENT-AGENT.safetensors)")
    ] = None,
    env_settings: Annotated[
        tuple[str, ...], arg(metavar="KEY=VALUE ...", help="keyword arguments of the environment", help_behavior_hint="")
    ] = (),
    quiet: Annotated[FlagCreatePairsOff[bool], arg(help="print errors only")] = False,
) -> None:
    """Gather a data set for offline learning: of random actions, of a run's agent, or of a run's replay memory.

    `deepnp train iql ENVIRONMENT --data FILE` learns from it.
    """
    try:
        whole_number("--steps", steps, 1)
        whole_number("--seed", seed, 0)
        whole_number("--num-envs", num_envs, 1)
    except ValueError as error:
        raise Usage(str(error)) from error
    if run is None and (replay or checkpoint != "last"):
        raise Usage("expected --run with --replay and --checkpoint: a run's agent, or its memory")
    name, settings = environments.find(env), key_values(env_settings)
    if run is not None:
        environment_for(run, None)  # whose error lists the runs that there are
    actor = RANDOM if run is None else f"{run.name}-replay" if replay else run.name
    path = out or FOLDER / f"{folder_name(actor, name)}.safetensors"
    if path.exists():
        raise FileExistsError(f"{path} is there already: --out names another file")
    if replay and run is not None:
        data = _replayed(run, name)
    else:
        agent = RANDOM if run is None else agent_of(run, checkpoint)
        data = collect_data(agent, name, steps, seed, num_envs=num_envs, deterministic=deterministic, env_settings=settings or None)
    save_data(data, path)
    if not quiet:
        returns = data.returns()
        say(f"{len(data):,} steps of {len(returns):,} episodes, mean return {returns.mean():,.2f}: {path}")


def _replayed(run: Path, env: str) -> DataSet:
    """What the replay memory of a run's latest checkpoint holds."""
    agent = load_agent(run)
    memory = agent.parts().get("memory")
    if not isinstance(memory, ReplayMemory) or not len(memory):
        raise ValueError(f"expected a run with a replay memory, given {agent.config.algorithm} in {run}")
    if agent.env_name != env.rpartition(":")[2]:
        raise Usage(f"expected the environment of {run}, {agent.env_name}, given {env}")
    return DataSet.of_memory(memory, agent.env_name, {"agent": agent.config.algorithm, "agent_steps": agent.steps})


def data_for(algorithm: Algorithm, name: str | None) -> DataSet | None:
    """The data set of a file, or of "minari:NAME", for an algorithm that learns from one.

    Raises Usage for any other algorithm. One that learns from a data set and is given none learns in
    the environment: a line says so.
    """
    takes = issubclass(algorithm.cls, FromData)
    if name is None:
        if algorithm.family == "offline":
            complain(f"warning: {algorithm.name} is given no --data: it learns in the environment, from its own steps")
        return None
    if not takes:
        known = ", ".join(known for known, other in ALGORITHMS.items() if issubclass(other.cls, FromData))
        raise Usage(f"expected an algorithm that learns from a data set ({known}) with --data, given {algorithm.name}")
    return load_minari(name.removeprefix(MINARI)) if name.startswith(MINARI) else load_data(name)
