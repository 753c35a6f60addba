"""A disk that is full, a folder that is gone: what a training does when something cannot be written."""

import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_on_write_error(given: str) -> str:
    """What to do where something cannot be written, if it is "stop" or "warn"; ValueError otherwise."""
    if given not in ("stop", "warn"):
        raise ValueError(f'expected on_write_error as "stop" or "warn", given {given!r:.80}')
    return given


class WriteFailures:
    """Ends the training with a clear error, or warns once and lets it go on.

    Parameters
    ----------
    folder : path
        Where is written; for the message.
    on_write_error : {"stop", "warn"}
    """

    def __init__(self, folder: str | os.PathLike, on_write_error: str = "stop"):
        self.folder, self.on_write_error = folder, on_write_error
        self._failing: set[str] = set()

    @contextmanager
    def handled(self, what: str, kept: str = "") -> Iterator[None]:
        """A `with` block that writes.

        Parameters
        ----------
        what : str
            Is written: "the row of step 100".
        kept : str
            What is not lost.

        Raises
        ------
        OSError
            The block's own, of the same kind, with a message that says what is lost and what is
            kept; unless this only warns.
        """
        try:
            yield
        except OSError as error:
            text = f"could not write {what} of {self.folder}: {error.strerror or error}"
            text += f" ({error.filename})" if error.filename else ""
            text += f". {kept}" if kept else ""
            if self.on_write_error == "stop":
                raise _same_kind(error, text) from error
            if what not in self._failing:
                self._failing.add(what)
                warnings.warn(f"{text}. The training goes on", RuntimeWarning, stacklevel=4)
        else:
            self._failing.discard(what)


def check_there(folder: Path) -> None:
    """Raise FileNotFoundError for a folder that is gone.

    It is not made anew: it may have been on a disk that was unmounted.
    """
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(folder))


def _same_kind(error: OSError, text: str) -> OSError:
    """An error of the same kind and number, with another message."""
    return OSError(error.errno, text) if error.errno else type(error)(text)


def make_folder(folder: Path) -> None:
    """The folder and those above it, where they are not there yet.

    Raises
    ------
    FileExistsError
        If one of them is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        file = next((place for place in (folder, *folder.parents) if place.is_file()), folder)
        raise FileExistsError(f"expected a folder for a run, given {folder}: {file} is a file") from error
