"""How much memory can be taken: the machine's, or that of the container that the process lives in."""

import os
from pathlib import Path

CONTAINER = Path("/sys/fs/cgroup")
# Limit, use, and what of the use is files that are not needed; of version 2, then of version 1.
LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


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
    for limit, used, statistics, cached in LIMITS:
        try:
            free = int((CONTAINER / limit).read_text()) - int((CONTAINER / used).read_text())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        return free + _number(CONTAINER / statistics, cached)
    return None


def _number(path: Path, name: str) -> int:
    """A number of a file with a name and a number in each line; 0 where it is not there."""
    try:
        return int(dict(line.split() for line in path.read_text().splitlines())[name])
    except (OSError, ValueError, KeyError):
        return 0
