"""config.json: everything that it takes to repeat a run, or to go on with it.

algorithm, config, seed       the agent; `config` holds the number of environment copies
env, env_settings             the environment's id, and its keyword arguments
total_steps                   schedules depend on it
log                           how the run is written down: see `Log`
options                       whatever else the script that began it wants to know again
versions, hardware, command, date
"""

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import SyncVectorEnv, VectorEnv

import deepnp
from rl.config import settings_to_json, whole_number
from rl.runs.failures import check_on_write_error

CONFIG = "config.json"
NEEDED = {"algorithm", "env", "seed", "total_steps", "config"}
PACKAGES = "numpy", "numba", "gymnasium", "mujoco"
MADE_BY_US = {"autoreset_mode", "num_envs", "vectorization_mode", "vector_kwargs", "wrappers"}
UNWRITABLE = "not JSON"  # {UNWRITABLE: its repr} stands for a value that JSON does not know


class Recorded(Protocol):
    """What is recorded: an `Agent`."""

    config: Any
    seed: int
    env: Any
    source: tuple | None


@dataclass(frozen=True)
class Log:
    """How a run is written down; `Run` says what each of them means."""

    checkpoint_seconds: float | None = 60.0
    keep: int = 0
    tensorboard: bool = False
    on_write_error: str = "stop"

    def __post_init__(self):
        seconds = self.checkpoint_seconds
        number = isinstance(seconds, int | float | np.number) and not isinstance(seconds, bool)
        if seconds is not None and not (number and seconds >= 0):
            raise ValueError(f"expected checkpoint_seconds as a number >= 0, given {seconds!r}")
        finite = None if seconds is None or not np.isfinite(seconds) else float(seconds)
        object.__setattr__(self, "checkpoint_seconds", finite)  # None: never, as JSON knows no infinity
        object.__setattr__(self, "keep", whole_number("keep", self.keep, 0))
        if not isinstance(self.tensorboard, bool):
            raise ValueError(f"expected tensorboard as a bool, given {self.tensorboard!r}")
        check_on_write_error(self.on_write_error)


def record_of(agent: Recorded, env: str, total_steps: int, log: Log, options: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a new run's config.json."""
    return {
        "algorithm": agent.config.algorithm,
        "env": env,
        "env_settings": as_json(env_settings_of(agent)),
        "seed": agent.seed,
        "total_steps": whole_number("total_steps", total_steps, 1),
        "config": as_json(settings_to_json(agent.config)),
        "log": asdict(log),
        "options": as_json(options),
        "versions": versions(),
        "hardware": hardware(),
        "command": list(sys.argv),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def read_config(folder: str | os.PathLike) -> dict[str, Any]:
    """What a run was begun with; older ones lack the keys that came later.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    ValueError
        If its config.json is damaged.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"expected a run's folder with a {CONFIG}, found none in {folder}")
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not whole: {error}") from error
    lacking = sorted(NEEDED - (record.keys() if isinstance(record, dict) else set()))
    if lacking:
        raise ValueError(f"{path} is not a run's: it lacks {lacking}")
    return record


def log_of(folder: str | os.PathLike) -> Log:
    """How a run is written down.

    Raises
    ------
    ValueError
        If config.json says what nobody can do.
    """
    try:
        return Log(**read_config(folder).get("log", {}))
    except TypeError as error:
        raise ValueError(f"{Path(folder) / CONFIG} does not say how the run is written down: {error}") from error


def environment_of(folder: str | os.PathLike) -> tuple[str, dict[str, Any]]:
    """The id and the keyword arguments of the environment that a run trains in.

    Raises
    ------
    ValueError
        If an argument is one that JSON does not know: then the environment has to be handed in.
    """
    record = read_config(folder)
    settings = record.get("env_settings", {})
    for name, value in settings.items():
        if UNWRITABLE in json.dumps(value):
            raise ValueError(
                f"{folder}: the environment's {name} cannot be made again from its file, {value}: hand in an environment"
            )
    return record["env"], settings


def command_text(words: Sequence[str]) -> str:
    """A recorded command as a person types it, without the folders that its program lay in; "–" where none was recorded."""
    return shlex.join([*_program(Path(words[0])), *words[1:]]) if words else "–"


def _program(path: Path) -> tuple[str, ...]:
    """What is typed to start it: its name, `deepnp` for our command line, `python -m package` for a package."""
    if path.name != "__main__.py":
        return (path.name,)
    return ("deepnp",) if path.parts[-3:-1] == ("rl", "cli") else ("python", "-m", path.parent.name)


def env_settings_of(agent: Recorded) -> dict[str, Any]:
    """The keyword arguments of an agent's environment: as the agent was given them, or as the environment's spec has them."""
    if agent.source is not None:
        env, settings = agent.source
        return {**(env.kwargs if isinstance(env, EnvSpec) else {}), **(settings or {})}
    spec = None if agent.env is None else _spec_of(agent.env)
    return {} if spec is None else {name: value for name, value in spec.kwargs.items() if name not in MADE_BY_US}


def _spec_of(env: VectorEnv) -> EnvSpec | None:
    inner = env.unwrapped
    if env.spec is None and isinstance(inner, SyncVectorEnv):
        return inner.envs[0].spec
    return env.spec


def versions() -> dict[str, str | None]:
    """Of Python, of what the bits depend on, and ours; None for what is not installed."""
    return {"deepnp": deepnp.__version__, "python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def hardware() -> dict[str, Any]:
    """The processor, its cores, and how many threads are in use."""
    return {"processor": _processor(), "cores": os.cpu_count(), "threads": deepnp.get_num_threads()}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def as_json(value: Any) -> Any:
    """`value` as JSON knows it; {"not JSON": its repr} for what JSON does not know."""
    if isinstance(value, np.generic | np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value if value is None or isinstance(value, str | int | float) else {UNWRITABLE: repr(value)}
