"""Runs that belong together: those that differ in nothing but their seed."""

import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rl.runs.record import CONFIG, read_config

KINDS: Mapping[str, type] = MappingProxyType({"algorithm": str, "env": str, "seed": int, "config": dict})
EVALUATION = "options.evaluation."  # how a run was evaluated: it learns the same without
LABEL_LENGTH = 60  # characters; where settings take more, the folder's name says it


@dataclass(frozen=True)
class Group:
    """Runs of one algorithm with the same settings in the same environment.

    Attributes
    ----------
    label : str
        The algorithm, and what differs from its other groups in this environment.
    env : str
    folders : tuple of Path
        One of each run.
    """

    label: str
    env: str
    folders: tuple[Path, ...]


def runs_of(path: str | os.PathLike) -> list[Path]:
    """The runs in a folder: itself, or those that lie in it, the seeds of several among them.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    folder = Path(path)
    if (folder / CONFIG).is_file():
        return [folder]
    inside = sorted(config.parent for form in ("*", "*/seed-*") for config in folder.glob(f"{form}/{CONFIG}"))
    if not inside:
        raise FileNotFoundError(f"expected a run's folder with a {CONFIG}, or a folder of such, found none in {folder}")
    return inside


def groups_of(paths: Iterable[str | os.PathLike] | str | os.PathLike) -> list[Group]:
    """The runs of one or several folders, grouped by environment, algorithm and settings.

    The length of a training, its seed and how it was evaluated make no difference. A run whose
    config.json is damaged is left out with a warning.

    Raises
    ------
    FileNotFoundError
        If a folder holds no run.
    ValueError
        If the config.json of every run is damaged.
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else paths
    members: dict[str, list[Path]] = {}
    damaged: list[ValueError] = []
    for folder in dict.fromkeys(run for path in paths for run in runs_of(path)):
        try:
            members.setdefault(json.dumps(_identity(record_of(folder)), sort_keys=True), []).append(folder)
        except ValueError as error:
            damaged.append(error)
    leave_out(damaged, bool(members))
    known = {key: json.loads(key) for key in members}
    labels = {key: _label(own, known.values(), members[key][0]) for key, own in known.items()}
    return [Group(labels[key], known[key]["env"], tuple(folders)) for key, folders in members.items()]


def leave_out(errors: Sequence[Exception], others: bool) -> None:
    """Warn of what cannot be read, where there is something else to show; raise the first error where there is not."""
    if errors and not others:
        raise errors[0]
    for error in errors:
        warnings.warn(f"left out: {error}", stacklevel=4)


def record_of(folder: Path) -> dict[str, Any]:
    """What config.json says of a run, with values that can be what they are named.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    ValueError
        If its config.json is damaged.
    """
    record = read_config(folder)
    for name, kind in KINDS.items():
        if not isinstance(record[name], kind):
            raise ValueError(f"{folder / CONFIG} is not a run's: expected {name} as {kind.__name__}, given {record[name]!r:.80}")
    return record


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A record with nested names joined by dots: {"config.lr": 0.001, …}."""
    result: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = value
    return result


def _identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a group, with flat names; a setting that is off is as one that older runs did not know."""
    told = flat({name: record.get(name) for name in ("algorithm", "env", "env_settings", "config", "options")})
    return {name: value for name, value in told.items() if value is not None and not name.startswith(EVALUATION)}


def _label(own: Mapping[str, Any], known: Iterable[Mapping[str, Any]], folder: Path) -> str:
    """The algorithm, with the settings that differ among its groups in this environment."""
    alike = [other for other in known if (other["algorithm"], other["env"]) == (own["algorithm"], own["env"])]
    names = dict.fromkeys(name for other in alike for name in other)
    differing = [name for name in names if len({json.dumps(other.get(name)) for other in alike}) > 1]
    text = ", ".join(f"{name.partition('.')[2] or name}={own.get(name)}" for name in differing)
    shown = folder.parent.name if folder.name.startswith("seed-") else folder.name
    return own["algorithm"] + (f" {text if len(text) <= LABEL_LENGTH else shown}" if text else "")
