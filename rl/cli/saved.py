"""A run's agent and its environment, as a command line names them."""

import difflib
from pathlib import Path
from typing import Any

from tyro.conf import arg

import rl
from rl.algorithms import class_of
from rl.checkpoint import load
from rl.cli import environments
from rl.cli.usage import Usage
from rl.runs.record import environment_of
from rl.runs.retention import best_of, kept_of, previous_of
from rl.training.resume import load_agent

CHECKPOINT = "last, previous, best, the step of one that was kept, or a path"
MODULE = arg(metavar="NAME", help="that registers the environment, where its id does not name it", help_behavior_hint="")
MOST = 8  # runs that an error names


def agent_of(run: Path, checkpoint: str = "last") -> rl.Agent:
    """The agent of a run, to predict with.

    Parameters
    ----------
    run : path
        The run's folder.
    checkpoint : str
        "last", "previous", "best", the step of one that was kept, or a path.

    Raises
    ------
    FileNotFoundError
        If there is no such checkpoint; the message lists those that there are.
    """
    if checkpoint == "last":
        return load_agent(run, memory=False)
    named = {"previous": previous_of(run), "best": best_of(run), **{str(step): path for step, path in kept_of(run).items()}}
    path = named.get(checkpoint, Path(checkpoint))
    if not path.is_file():
        known = ", ".join(["last", *(name for name, file in named.items() if file.is_file())])
        raise FileNotFoundError(f"expected a checkpoint of {run} ({known}) or a path, given {checkpoint}")
    return load(class_of(path), path, memory=False)


def environment_for(run: Path, module: str | None) -> tuple[str, dict[str, Any]]:
    """The id, registered, and the keyword arguments of the environment that a run trains in.

    Parameters
    ----------
    run : path
    module : str, optional
        To import first: a run that was begun in Python may record an id without its module.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run; the message lists those nearby.
    Usage
        If there is no such environment.
    """
    try:
        name, settings = environment_of(run)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{_there(run)}") from None
    if module is not None:
        environments.import_module(module)
    try:
        return environments.find(name), settings
    except Usage as error:
        raise Usage(f"{run}: {error}; --module names a module that registers it") from error


def _there(folder: Path) -> str:
    """The runs in a folder that is none itself, such as seeds; else those in `runs`: all, or the nearest by name."""
    if folder.is_file():
        return "; it is a file: rl.load reads an agent's in Python, and eval, play and export take it as --checkpoint, with a run"
    for place in (folder, Path("runs")):
        runs = [str(config.parent) for config in sorted(place.glob("*/config.json"))]
        shown = runs if len(runs) <= MOST else difflib.get_close_matches(str(folder), runs, MOST) or runs[-MOST:]
        more = f" and {len(runs) - len(shown)} more" if len(shown) < len(runs) else ""
        if runs:
            return f"; runs are {', '.join(shown)}{more}"
    return ""
