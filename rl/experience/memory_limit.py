"""How much memory can be taken: the machine's, or that of the container that the process lives in.

Linux limits memory by control groups, a tree of folders. A process belongs to one group, and every
group above it counts too: a container's limit, that of a pod around it, that of a Slurm job.

    /proc/self/cgroup       the process's group, as the machine names it
    /proc/self/mountinfo    where which part of the tree can be read
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

PROCESS = Path("/proc/self")


class Files(NamedTuple):
    """What the files of a group are called: its limit, its use, and what of the use is files that are not needed."""

    limit: str
    used: str
    statistics: str
    cached: str


SECOND = Files("memory.max", "memory.current", "memory.stat", "inactive_file")
FIRST = Files("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "total_inactive_file")


def check_memory(needed: int, what: str) -> None:
    """Raise MemoryError if `needed` bytes are more than are free.

    Where the system does not say, nothing is checked.
    """
    free = free_memory()
    if free is not None and needed > free:
        raise MemoryError(f"{what} needs {needed / 2**30:.2f} GiB, but only {free / 2**30:.2f} GiB are free")


def free_memory() -> int | None:
    """Bytes that can be taken without swapping; None where the system does not say."""
    known = [free for free in (_of_the_machine(), _of_the_container()) if free is not None]
    return min(known, default=None)


def _of_the_machine() -> int | None:
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_the_container() -> int | None:
    """The least that is free in the process's group and in those above it, in both versions; None without a limit."""
    known = [_of_a_group(folder, files) for mount, files in _mounts() for folder in _groups(mount, files)]
    return min((free for free in known if free is not None), default=None)


class Mount(NamedTuple):
    """Where a part of a tree can be read."""

    root: str  # the group that is mounted
    folder: Path


def _mounts() -> Iterator[tuple[Mount, Files]]:
    """The trees that limit memory."""
    for line in _lines(PROCESS / "mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        mount = Mount(_unescaped(fields[3]), Path(_unescaped(fields[4])))
        if kind[0] == "cgroup2":
            yield mount, SECOND
        elif kind[0] == "cgroup" and "memory" in kind[2].split(","):
            yield mount, FIRST


def _groups(mount: Mount, files: Files) -> Iterator[Path]:
    """The folders of the process's group and of those above it, as far as they can be seen."""
    for line in _lines(PROCESS / "cgroup"):
        number, *rest = line.split(":", 2)
        if rest and (number == "0" if files is SECOND else "memory" in rest[0].split(",")):
            path = PurePosixPath(rest[-1])
            seen = path.is_relative_to(mount.root) and ".." not in path.parts  # else it lies beyond what is mounted
            inside = path.relative_to(mount.root) if seen else PurePosixPath()
            yield from (mount.folder / part for part in (inside, *inside.parents))
            return


def _of_a_group(folder: Path, files: Files) -> int | None:
    try:
        free = int((folder / files.limit).read_text()) - int((folder / files.used).read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return max(free + _number(folder / files.statistics, files.cached), 0)


def _number(path: Path, name: str) -> int:
    """A number of a file with a name and a number in each line; 0 where it is not there."""
    pairs = (line.split() for line in _lines(path))
    try:
        return next((int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == name), 0)
    except ValueError:
        return 0


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _unescaped(text: str) -> str:
    """A path as mountinfo writes it: a space is \\040."""
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
