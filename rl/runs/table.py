"""A CSV file of numbers that grows by a row at a time and outlives a crash.

A row is appended with one write, so a killed process leaves whole rows. A row that a full disk
cuts short is taken back. A power cut or an editor may still leave half of one: `Table.read` keeps
the rows that are whole and warns about the others.
"""

import csv
import errno
import io
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepnp.storage import write_atomically
from rl.runs.failures import check_there

KEY = "steps"  # the column that every table has


class Table:
    """Rows of named numbers in a CSV file.

    Parameters
    ----------
    path : path
        The file; written at the first row.

    Attributes
    ----------
    rows : list of dict of str to str
        As they are in the file; a missing number is empty.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.rows: list[dict[str, str]] = []
        self._whole = False  # whether the file has all rows but the newest

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Table":
        """The table of a file; without rows if there is no file.

        Warns of lines that are not whole, and leaves them out.
        """
        table = cls(path)
        if not table.path.is_file():
            return table
        text = table.path.read_bytes().decode(errors="replace")
        lines = text.split("\n")
        columns = _cells(lines[0])
        whole = KEY in columns and len(set(columns)) == len(columns)
        parsed = [_row(columns, line) if whole else None for line in lines[1:-1]]
        table.rows = [row for row in parsed if row is not None]
        lost = [number for number, row in enumerate(parsed, start=2) if row is None]
        lost += [len(lines)] if lines[-1] else []  # the last line does not end: its numbers may be cut short
        table._whole = bool(table.rows) and not lost
        if lost:
            numbers = ", ".join(map(str, lost[:5])) + (", …" if len(lost) > 5 else "")
            reason = "no whole rows of numbers" if whole else f'without a header that names "{KEY}"'
            warnings.warn(f"{path}: left out {len(lost)} lines, {reason} (lines {numbers})", stacklevel=2)
        return table

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row, see `extend`."""
        self.extend([row])

    def extend(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Add rows with one write; numbers that they lack stay empty, and new names become columns.

        Raises
        ------
        OSError
            If they cannot be written. They are not lost: the next ones bring them along.
        """
        if not rows:
            return
        known = list(self.rows[0]) if self.rows else []
        columns = list(dict.fromkeys([*known, *(name for row in rows for name in row)]))
        self.rows += [{name: str(row.get(name, "")) for name in columns} for row in rows]
        whole, self._whole = self._whole and columns == known and self.path.exists(), False
        if whole:
            self._write_more(_text(self.rows[-len(rows) :], columns, header=False))
        else:
            self.rows = [{name: r.get(name, "") for name in columns} for r in self.rows]
            self._rewrite()
        self._whole = True

    def _write_more(self, text: bytes) -> None:
        """Add `text` to the file, all of it or nothing."""
        with open(self.path, "r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if (file.write(text) or 0) < len(text):
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def keep_until(self, steps: int) -> None:
        """Drop the rows beyond so many steps, and what was not whole, from the file."""
        self.rows = [row for row in self.rows if float(row[KEY]) <= steps]
        if self.rows or self.path.exists():
            self._rewrite()

    def columns(self) -> dict[str, list[float]]:
        """The numbers by column; NaN where one is missing."""
        names = self.rows[0] if self.rows else ()
        return {name: [float(row[name] or "nan") for row in self.rows] for name in names}

    def complete(self) -> None:
        """Write the rows that could not be written before."""
        if self.rows and not self._whole:
            self._rewrite()

    def sync(self) -> None:
        """Wait until the rows are on the disk."""
        if self.path.exists():
            with open(self.path, "rb+") as file:
                os.fsync(file.fileno())

    def _rewrite(self):
        if len(self.rows) > 1:
            check_there(self.path.parent)
        text = _text(self.rows, list(self.rows[0]) if self.rows else [], header=bool(self.rows))
        write_atomically(self.path, lambda file: file.write(text))
        self._whole = bool(self.rows)


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r")]), [])
    except csv.Error:
        return []


def _row(columns: list[str], line: str) -> dict[str, str] | None:
    """A line as a row; None unless it has a number, or nothing, for each column, and finite steps."""
    cells = _cells(line)
    row = dict(zip(columns, cells, strict=False))
    try:
        numbers = [float(cell) for cell in cells if cell]
    except ValueError:
        return None
    return row if numbers and len(cells) == len(columns) and row[KEY] and math.isfinite(float(row[KEY])) else None


def _text(rows, columns, header) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
