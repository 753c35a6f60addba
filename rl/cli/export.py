"""`deepnp export RUN`."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from rl.cli.saved import CHECKPOINT, MODULE, agent_of, environment_for
from rl.cli.terminal import say
from rl.cli.usage import Usage
from rl.training.export import WRITERS
from rl.training.export import export as export_agent


def export(
    run: Annotated[Path, arg(help="the run's folder")],
    to: Annotated[
        Literal["auto", "numpy", "onnx", "torch"],
        arg(help="a Python file that needs NumPy only, ONNX, or weights for PyTorch; auto: as --out ends, or numpy"),
    ] = "auto",
    out: Annotated[
        Path | None, arg(metavar="FILE", help="to write", help_behavior_hint="(default: policy.py, .onnx or .safetensors in RUN)")
    ] = None,
    checkpoint: Annotated[str, arg(help=CHECKPOINT)] = "last",
    module: Annotated[str | None, MODULE] = None,
) -> None:
    """Write a run's policy to a file that runs without this library."""
    env, settings = environment_for(run, module)
    kinds = {suffix: kind for kind, (_, suffix) in WRITERS.items()}
    kind = to if to != "auto" else kinds.get(out.suffix) if out else "numpy"
    if kind is None or (out is not None and out.suffix != WRITERS[kind][1]):
        expected = " or ".join(kinds) if kind is None else WRITERS[kind][1]
        raise Usage(f"expected --out as a file that ends in {expected}, given {out}")
    path = out or run / f"policy{WRITERS[kind][1]}"
    with agent_of(run, checkpoint) as agent:
        agent.set_env(env, env_settings=settings)  # the file says where it can be played
        export_agent(agent, path, kind)
        say(f"{agent.config.algorithm} in {env} after {agent.steps:,} steps: {path}")
