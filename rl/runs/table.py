"""A CSV file of numbers that grows by a row at a time and outlives a crash.

A row is appended with one write, so a killed process leaves whole rows. A power cut, a full disk
or an editor may still leave half of one: `Table.read` keeps the rows that are whole and warns
about the others.
"""

import csv
import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from deepnp.storage import write_atomically

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
        if lost:
            numbers = ", ".join(map(str, lost[:5])) + (", …" if len(lost) > 5 else "")
            reason = "no whole rows of numbers" if whole else f'without a header that names "{KEY}"'
            warnings.warn(f"{path}: left out {len(lost)} lines, {reason} (lines {numbers})", stacklevel=2)
        return table

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row; numbers that it lacks stay empty, and new names become columns."""
        known = list(self.rows[0]) if self.rows else []
        columns = list(dict.fromkeys([*known, *row]))
        self.rows.append({name: str(row.get(name, "")) for name in columns})
        if columns != known:
            self.rows = [{name: r.get(name, "") for name in columns} for r in self.rows]
            self._rewrite()
            return
        with open(self.path, "ab", buffering=0) as file:
            file.write(_text(self.rows[-1:], columns, header=False))

    def keep_until(self, steps: int) -> None:
        """Drop the rows beyond so many steps, and what was not whole, from the file."""
        self.rows = [row for row in self.rows if float(row[KEY]) <= steps]
        if self.rows or self.path.exists():
            self._rewrite()

    def columns(self) -> dict[str, list[float]]:
        """The numbers by column; NaN where one is missing."""
        names = self.rows[0] if self.rows else ()
        return {name: [float(row[name] or "nan") for row in self.rows] for name in names}

    def sync(self) -> None:
        """Wait until the rows are on the disk."""
        if self.path.exists():
            with open(self.path, "rb+") as file:
                os.fsync(file.fileno())

    def _rewrite(self):
        text = _text(self.rows, list(self.rows[0]) if self.rows else [], header=bool(self.rows))
        write_atomically(self.path, lambda file: file.write(text))


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r")]), [])
    except csv.Error:
        return []


def _row(columns: list[str], line: str) -> dict[str, str] | None:
    """A line as a row; None unless it has a number, or nothing, for each column."""
    cells = _cells(line)
    row = dict(zip(columns, cells, strict=False))
    try:
        numbers = [float(cell) for cell in cells if cell]
    except ValueError:
        return None
    return row if numbers and len(cells) == len(columns) and row[KEY] else None


def _text(rows, columns, header) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
