"""`deepnp resume RUN`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, arg

from rl.cli.saved import MODULE, environment_for
from rl.cli.task import set_threads
from rl.cli.training import Watching, learn
from rl.runs.run import Run
from rl.training.resume import load_agent

STEPS = arg(metavar="INT", help="environment steps in all", help_behavior_hint="(default: as the run was begun)")


def resume(
    run: Annotated[Path, arg(help="the run's folder")],
    steps: Annotated[int | None, STEPS] = None,
    threads: Annotated[int | None, arg(metavar="INT", help="to compute with", help_behavior_hint="(default: all)")] = None,
    quiet: Annotated[FlagCreatePairsOff[bool], arg(help="print errors only")] = False,
    module: Annotated[str | None, MODULE] = None,
) -> int:
    """Go on with a run that was stopped, with the settings that it was begun with.

    Nothing is lost: it learns to the same bits as a run that was never stopped, where the
    environment can tell its state.
    """
    env, env_settings = environment_for(run, module)
    set_threads(threads)
    with load_agent(run, env, env_settings=env_settings) as agent:
        record = Run.resume(run, agent)
        watching = Watching(**record.options.get("evaluation", {}))
        on_nonfinite = record.options.get("on_nonfinite", "stop")
        return learn(agent, record, env, env_settings, steps or record.total_steps, watching, quiet, on_nonfinite)
