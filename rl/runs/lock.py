"""A folder that one process writes to at a time."""

import errno
import os
import sys
import weakref
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # beyond the text: a locked byte cannot be read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class FolderLock:
    """Holds a folder until `release`, or until the object or the process ends, in whatever way.

    The lock belongs to the operating system: a process that was killed leaves none behind. The
    file `.lock` only carries it, and says which process holds it. Where the file system knows no
    locks, nothing is held.

    Parameters
    ----------
    folder : path
        Exists.

    Raises
    ------
    BlockingIOError
        If another process, or another lock in this one, holds the folder.
    """

    def __init__(self, folder: str | os.PathLike):
        descriptor = os.open(Path(folder) / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        self._close = weakref.finalize(self, os.close, descriptor)
        try:
            _lock(descriptor)
        except OSError as error:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            self.release()
            if error.errno in TAKEN:
                raise BlockingIOError(f"{folder} is in use: process {holder or 'unknown'} is training in it") from error
            return
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let go of the folder; nothing happens the second time."""
        self._close()
