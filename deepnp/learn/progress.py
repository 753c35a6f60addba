"""What a reader has done: a small JSON file beside the exercises, written whole or not at all."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from deepnp.files import write_atomically

NAME = "progress.json"


@dataclass
class Entry:
    """One exercise.

    Attributes
    ----------
    attempts : int
        Checks of something written.
    hints : int
        How many were shown.
    solution : bool
        Whether the solution was shown before it passed.
    passed : str
        The day on which it passed, or "".
    digest : str
        Of the file that passed: what is changed later has not passed.
    """

    attempts: int = 0
    hints: int = 0
    solution: bool = False
    passed: str = ""
    digest: str = ""

    def passes(self, text: bytes) -> None:
        """Note that a file with this text passed, today."""
        self.passed, self.digest = date.today().isoformat(), digest(text)

    def state(self, path: Path) -> str:
        """In a few words, with the file as it is now."""
        if not path.is_file():
            return ""
        if not self.passed:
            return "begun"
        if digest(path.read_bytes()) != self.digest:
            return "changed since it passed"
        return "passed, with the solution" if self.solution else "passed"


@dataclass
class Progress:
    """All exercises that were begun, by name."""

    folder: Path
    entries: dict[str, Entry] = field(default_factory=dict)

    def of(self, name: str) -> Entry:
        """The entry of an exercise, made where there is none."""
        return self.entries.setdefault(name, Entry())

    def save(self) -> None:
        """Write the file."""
        text = json.dumps({name: asdict(entry) for name, entry in self.entries.items()}, indent=1)
        write_atomically(self.folder / NAME, lambda file: file.write(text.encode()))


def digest(text: bytes) -> str:
    """A fingerprint of a file."""
    return hashlib.sha256(text).hexdigest()


def load(folder: Path) -> Progress:
    """The progress kept in a folder; empty where there is none.

    Raises
    ------
    ValueError
        If the file is damaged. It is left as it is.
    """
    path = folder / NAME
    if not path.exists():
        return Progress(folder)
    try:
        found = json.loads(path.read_text("utf-8"))
        entries = {name: Entry(**values) for name, values in found.items()}
        for entry in entries.values():
            if any(type(a) is not type(b) for a, b in zip(asdict(entry).values(), asdict(Entry()).values())):
                raise TypeError("a value of another type")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"expected what this program wrote in {path}, given something else ({error}): move it away") from error
    return Progress(folder, entries)
