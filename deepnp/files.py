"""Files written whole or not at all.

A file is written beside its place under a temporary name, flushed to disk and renamed: a crash leaves the old file. What a
killed process left behind is removed by the next save of the same file.
"""

import contextlib
import os
import re
import secrets
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.[0-9a-f]{8}\.tmp")


def write_atomically(path: str | os.PathLike, write: Callable[[BinaryIO], object]) -> None:
    """Call `write(file)` on a temporary binary file in the same folder, then rename it to `path`.

    A symbolic link stays, and what it points to is replaced. A new file has the mode that the umask leaves, an existing one
    keeps its own. The folder is made if need be.

    Raises
    ------
    OSError
        If `path` is a folder, a device or a pipe: these are never replaced.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        kind = IsADirectoryError if path.is_dir() else OSError
        raise kind(f"expected the name of a file to write, given {'a folder' if path.is_dir() else 'a device or a pipe'}, {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, _prefix(path))
    temporary = path.with_name(f"{_prefix(path)}{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            _lock(file)
            if path.exists() and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            write(file)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:  # while it is locked: an unlocked temporary file is removed as a leftover
                os.replace(temporary, path)
        if fcntl is None:  # Windows renames no open file
            os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _prefix(path: Path) -> str:
    """Short, for the name itself may be as long as the file system allows; each file has its own."""
    return f".{zlib.crc32(path.name.encode(errors='surrogateescape')):08x}."


def remove_leftovers(folder: str | os.PathLike, prefix: str = ".") -> None:
    """Remove temporary files in a folder whose writer is gone: nobody holds their lock.

    With a prefix, only those whose name begins with it.
    """
    for leftover in _temporaries(Path(folder), prefix) if fcntl is not None else ():
        with contextlib.suppress(OSError), leftover.open("rb") as file:
            _lock(file)
            leftover.unlink()


def _temporaries(folder: Path, prefix: str) -> Iterator[Path]:
    names = os.listdir(folder) if folder.is_dir() else ()
    return (folder / name for name in names if name.startswith(prefix) and TEMPORARY.fullmatch(name))


def _lock(file: BinaryIO) -> None:
    """Mark a temporary file as being written; OSError where another process does that."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sync_folder(folder: Path) -> None:
    """Flush the new name to disk as well, where folders can be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
