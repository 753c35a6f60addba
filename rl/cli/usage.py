"""Exit codes, the error of a command line that makes no sense, and the nearest names that would."""

import difflib
from collections.abc import Iterable

FAILED, MISUSED, STOPPED = 1, 2, 130


class Usage(Exception):
    """A command line that makes no sense; the message says what was expected."""


def plain(word: str) -> str:
    """A name without its case, hyphens and underscores."""
    return word.lower().replace("-", "").replace("_", "")


def closest(word: str, names: Iterable[str]) -> list[str]:
    """The names, three at most, that look like a word."""
    known = {plain(name): name for name in names}
    return [known[match] for match in difflib.get_close_matches(plain(word), known, 3)]


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """` (did you mean …?)`, or nothing where no name is close."""
    close = closest(word, names)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
