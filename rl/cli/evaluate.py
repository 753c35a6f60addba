"""`deepnp eval RUN`."""

from pathlib import Path
from typing import Annotated

import numpy as np
from tyro.conf import FlagCreatePairsOff, arg

from rl.cli.saved import CHECKPOINT, MODULE, agent_of, environment_for
from rl.cli.terminal import columns, say
from rl.training.evaluation import play
from rl.training.statistics import bootstrap_interval, iqm


def evaluate(
    run: Annotated[Path, arg(help="the run's folder")],
    episodes: Annotated[int, arg(help="how many, side by side")] = 20,
    seed: Annotated[int, arg(help="of the first episode; the others follow")] = 1,
    checkpoint: Annotated[str, arg(help=CHECKPOINT)] = "last",
    stochastic: Annotated[FlagCreatePairsOff[bool], arg(help="draw actions instead of taking the most probable ones")] = False,
    module: Annotated[str | None, MODULE] = None,
) -> None:
    """Play new episodes with a run's agent, and print how they went."""
    env, env_settings = environment_for(run, module)
    agent = agent_of(run, checkpoint)
    how = "actions drawn" if stochastic else "deterministic"
    say(f"{agent.config.algorithm} in {env} after {agent.steps:,} steps; episodes of seeds {seed} to {seed + episodes - 1}, {how}")
    say(summary(play(agent, env, episodes, seed, not stochastic, env_settings=env_settings)))


def summary(result: dict[str, np.ndarray]) -> str:
    """Mean, spread and extremes of each figure of some episodes, and the interquartile mean of their returns."""
    rows = [("", "mean", "std", "min", "max")]
    rows += [(name, *_figures(values[np.isfinite(values)])) for name, values in result.items() if np.isfinite(values).any()]
    low, high = bootstrap_interval(result["return"])
    table = columns(rows, numbers=True)
    return f"{table}\nreturn: interquartile mean {iqm(result['return']):,.2f}, 95 % interval {low:,.2f} to {high:,.2f}"


def _figures(values):
    return [f"{figure:,.2f}" for figure in (values.mean(), values.std(), values.min(), values.max())]
