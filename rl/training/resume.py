"""The agent of a run's folder."""

import os
import warnings
from contextlib import suppress

from rl.agent import Agent
from rl.algorithms import load
from rl.experience.environments import EnvLike
from rl.runs.run import checkpoint_of, previous_of


def load_agent(folder: str | os.PathLike, env: EnvLike | None = None) -> Agent:
    """The agent of a run's latest checkpoint; with a warning, of the one before if it is damaged.

    Parameters
    ----------
    folder : path
        Of the run.
    env : optional
        To go on learning in.

    Raises
    ------
    FileNotFoundError
        If the folder holds no checkpoint.
    ValueError
        If no checkpoint is whole, or they do not fit the environment.
    """
    last, previous = checkpoint_of(folder), previous_of(folder)
    try:
        return load(last, env)
    except (FileNotFoundError, ValueError) as error:
        try:
            agent = load(previous, env)
        except (FileNotFoundError, ValueError):
            raise error from None
        warnings.warn(f"{error}; went back to step {agent.steps:,} with {previous}", stacklevel=2)
        if isinstance(error, ValueError):
            with suppress(OSError):  # out of the way, or the next checkpoint would make it the previous one
                os.replace(last, last.with_name("damaged.safetensors"))
        return agent
