"""Many runs evaluated, each in a process of its own: on this machine, or as tasks of a cluster."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepnp.storage import save_json
from rl.config import whole_number
from rl.runs.record import environment_of
from rl.training.evaluation import play
from rl.training.processes import Job, Runner, last_line, run_jobs, shares
from rl.training.resume import load_agent

RESULT, OUTPUT = "episodes.json", "episodes.txt"


def evaluate_runs(
    folders: Sequence[str | os.PathLike] | str | os.PathLike,
    episodes: int = 20,
    seed: int = 1,
    *,
    best: bool = False,
    at_once: int | None = None,
    runner: Runner = run_jobs,
) -> dict[Path, dict[str, np.ndarray]]:
    """Play the same episodes with the agents of several runs.

    Parameters
    ----------
    folders : path, or several
        Of runs. Each gets episodes.json with what its agent did.
    episodes, seed : int
        As `evaluate` takes them.
    best : bool
        The agent of each run's best evaluation, instead of its last one.
    at_once : int, optional
        Processes at a time: as many as there are threads by default.
    runner : callable
        What does the jobs: processes of this machine, or `rl.cluster.tasks.RayTasks()`.

    Returns
    -------
    dict of Path to dict of str to array (episodes,)
        For each folder what `play` gives.

    Raises
    ------
    RuntimeError
        If one could not be evaluated; the others' episodes.json is there.
    """
    places = [Path(folder) for folder in ([folders] if isinstance(folders, str | os.PathLike) else folders)]
    content = {"episodes": whole_number("episodes", episodes, 1), "seed": whole_number("seed", seed, 0), "best": best}
    for place in places:
        environment_of(place)  # raises here, and not in every process
        (place / RESULT).unlink(missing_ok=True)
    jobs = [Job("episodes", {**content, "folder": str(place.absolute())}, place / OUTPUT) for place in places]
    runner(jobs, *shares(len(jobs), at_once), lambda: None)
    lacking = [f"{place}: {last_line(place / OUTPUT) or 'not begun'}" for place in places if not (place / RESULT).exists()]
    if lacking:
        raise RuntimeError(f"{len(lacking)} of {len(places)} runs could not be evaluated: {'; '.join(lacking)}")
    return {place: _read(place / RESULT) for place in places}


def play_episodes(job: dict[str, Any]) -> bool:
    """Play the episodes of one run, in this process."""
    folder = Path(job["folder"])
    env, settings = environment_of(folder)
    result = play(load_agent(folder, best=job["best"], memory=False), env, job["episodes"], job["seed"], env_settings=settings)
    save_json(folder / RESULT, {name: values.tolist() for name, values in result.items()})
    return True


def _read(path: Path) -> dict[str, np.ndarray]:
    return {name: np.array(values) for name, values in json.loads(path.read_bytes()).items()}
