"""The agent of a run's folder, and its training taken up again."""

import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deepnp.storage import load_metadata
from rl import checkpoint
from rl.agent import Agent
from rl.algorithms import class_of
from rl.experience.environments import EnvLike
from rl.runs.record import Log, environment_of
from rl.runs.retention import best_of, checkpoints_of
from rl.runs.run import Run


def load_agent(
    folder: str | os.PathLike,
    env: EnvLike | None = None,
    *,
    env_settings: Mapping[str, Any] | None = None,
    best: bool = False,
    memory: bool = True,
) -> Agent:
    """The agent of a run's latest checkpoint; with a warning, of the one before if it is damaged.

    Parameters
    ----------
    folder : path
        Of the run.
    env : optional
        To go on learning in.
    env_settings : mapping, optional
        Keyword arguments of an id's environment.
    best : bool
        The agent of the best evaluation instead, to play with: its file has no replay memory.
    memory : bool
        With its replay memory. Who only plays leaves it out: it takes a while to read, and may be
        damaged.

    Raises
    ------
    FileNotFoundError
        If the folder holds no checkpoint.
    ValueError
        If no checkpoint is whole, but for one of step 0, or they do not fit the environment.
    """

    def read(path: Path) -> Agent:
        return checkpoint.load(class_of(path), path, env, env_settings, memory=memory)

    if best:
        return read(best_of(folder))
    last, *others = checkpoints_of(folder)
    try:
        return read(last)
    except (FileNotFoundError, ValueError) as error:
        failure = error
    for i, path in enumerate(others):
        with suppress(FileNotFoundError, ValueError):
            if load_metadata(path).get("steps") == 0:
                failure.add_note(f"the only other checkpoint, {path}, is of step 0, where nothing was learned yet")
                break
            agent = read(path)
            warnings.warn(f"{failure}; went back to step {agent.steps:,} with {path}", stacklevel=2)
            if env is not None:  # who only looks changes nothing
                _set_aside([last, *others[:i]])
            return agent
    raise failure


def _set_aside(damaged: list[Path]) -> None:
    """Out of the way, or the next checkpoint would make the damaged one the previous one."""
    for path in damaged:
        with suppress(OSError):
            os.replace(path, path.with_name("damaged.safetensors"))


def resume(
    folder: str | os.PathLike,
    env: EnvLike | None = None,
    *,
    env_settings: Mapping[str, Any] | None = None,
    log: Log | None = None,
) -> tuple[Agent, Run]:
    """A run to go on with: its agent, and what writes it down.

        agent, run = resume("runs/walker")
        train(agent, run, run.total_steps)

    Parameters
    ----------
    folder : path
    env : optional
        By default the run's own, made anew as its config.json says.
    env_settings : mapping, optional
        Keyword arguments of an id's environment.
    log : Log, optional
        How it is written down from now on; as before by default.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    BlockingIOError
        If another process is training in it.
    ValueError
        As `load_agent`; or if the environment cannot be made from the record.
    """
    if env is None:
        env, own = environment_of(folder)
        env_settings = {**own, **(env_settings or {})}
    agent = load_agent(folder, env, env_settings=env_settings)
    return agent, Run.resume(folder, agent, log)
