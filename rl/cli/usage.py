"""Exit codes, the error of a command line that makes no sense, and the nearest names that would."""

import difflib
from collections.abc import Iterable

FAILED, MISUSED, STOPPED = 1, 2, 130
NEAREST, ALIKE = 3, 0.7  # how many names are suggested, and how much alike they are: "a2c" is not "sac"
SHORTEST = 4  # letters of a name that is the beginning of another


class Usage(Exception):
    """A command line that makes no sense; the message says what was expected."""


def plain(word: str) -> str:
    """A name without its case, hyphens and underscores."""
    return word.lower().replace("-", "").replace("_", "")


def closest(word: str, names: Iterable[str]) -> list[str]:
    """The names, three at most, that look like a word: most letters in the same order, all of them in another, or its beginning."""
    known = {plain(name): name for name in names}
    given = plain(word)
    exchanged = [match for match in known if sorted(match) == sorted(given)]
    begun = [match for match in known if len(match) >= SHORTEST and given.startswith(match)]  # "evaluate" is "eval" here
    near = difflib.get_close_matches(given, known, NEAREST, ALIKE)
    return [known[match] for match in dict.fromkeys([*exchanged, *near, *begun])][:NEAREST]


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """` (did you mean …?)`, or nothing where no name is close."""
    close = closest(word, names)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
