"""What is printed: on any terminal, in any encoding, in columns."""

import inspect
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TextIO

import tyro

from rl.runs.displays import replace_unknown_signs

WIDEST = 100  # a line of text


def prepare() -> None:
    """Print "?" for a sign that the terminal's encoding lacks, such as γ on cp1252, and no colours where NO_COLOR is set."""
    replace_unknown_signs()
    tyro._experimental_options["ansi_codes"] = not os.environ.get("NO_COLOR")  # which tyro does not know, unlike rich


def print_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    """A warning in one line, without the place in the code: what `warnings.showwarning` may be."""
    complain(f"warning: {message}")


def complain(text: str) -> None:
    """Print one line on the standard error."""
    print(" ".join(text.split()), file=sys.stderr, flush=True)


def say(text: str = "") -> None:
    """Print at once, so that a log file is never behind."""
    print(text, flush=True)


def paragraphs(text: str) -> str:
    """A docstring's paragraphs as wide as the terminal; one with indented lines stays as it is.

    tyro joins lines again, unless they begin with a space.
    """
    width = min(shutil.get_terminal_size().columns, WIDEST)
    blocks = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(b if "\n " in b else textwrap.fill(" ".join(b.split()), width, subsequent_indent=" ") for b in blocks)


def columns(rows: Iterable[Sequence[str]], numbers: bool = False) -> str:
    """Rows of words as text, each column as wide as its widest word.

    Parameters
    ----------
    rows : iterable of sequences of str
    numbers : bool
        All columns but the first end, instead of begin, at the same place.
    """
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    signs = ["<", *(">" if numbers else "<" for _ in widths[1:])]
    lines = ["  ".join(f"{word:{sign}{width}}" for word, sign, width in zip(row, signs, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
