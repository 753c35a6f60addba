"""What tyro and argparse say of a command line that makes no sense, in one line as all our own errors.

tyro draws a box around a title, a message and, below a rule, hints. The message is what counts.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO

from rl.cli.usage import MISUSED, Usage

RULE, EDGES = re.compile("╭.*╮|╰.*╯|[│ ]*[─-]{9,}[│ ]*"), "│ "
MISSING, QUOTED = "Missing from ", "'(.*?)'"


@contextmanager
def in_one_line(prog: str) -> Iterator[None]:
    """A `with` block that parses: raises Usage in the place of a SystemExit with an error's text before it."""
    text = StringIO()
    try:
        with redirect_stderr(text):
            yield
    except SystemExit as end:
        if end.code == MISUSED and text.getvalue().strip():
            raise Usage(f"{message_of(text.getvalue())} (see {prog} --help)") from None
        raise
    finally:
        if sys.exception() is None:
            sys.stderr.write(text.getvalue())


def message_of(text: str) -> str:
    """The message of a box, or of argparse's usage and error."""
    if "error: " in text and not text.startswith("╭"):
        return " ".join(text.partition("error: ")[2].split())
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if RULE.fullmatch(line):
            blocks.append([])
        elif line.strip(EDGES):
            blocks[-1].append(line.strip("│"))
    lines = blocks[1]  # the title lies in the first rule, or above it where boxes are drawn in ASCII
    if lines[0].strip().startswith(MISSING):
        return f"expected {', '.join(_names(lines[1:]))}, given none"
    return _in_our_words(" ".join(" ".join(lines).split()))


def _names(lines: list[str]) -> list[str]:
    """What is missing: it stands before its explanation, which is indented further."""
    indents = [len(line) - len(line.lstrip()) for line in lines]
    return [line.strip() for line, indent in zip(lines, indents, strict=True) if indent == min(indents)]


def _in_our_words(message: str) -> str:
    choice = re.fullmatch(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*?),?\)\.", message)
    if choice:
        value, option, choices = choice.groups()
        return f"expected {option} as one of {', '.join(sorted(re.findall(QUOTED, choices)))}, given {value!r}"
    lacking = re.fullmatch(r"Missing value for argument '(.*)'\. .*", message)
    if lacking:
        return f"expected a value for {lacking.group(1)}, given none"
    unread = re.fullmatch(r"Error parsing (\S+): Could not find valid parse for arguments: \[(.*)\]", message)
    if unread:
        values = re.findall(QUOTED, unread.group(2))
        apart = "; between values stands a space" if any("," in value for value in values) else ""
        return f"expected other values for {unread.group(1)}, given {', '.join(values)}{apart}"
    number = re.fullmatch(r"Error parsing (\S+): .*\{None\}\|FLOAT .* from \['(.*?)'\]\..*", message)
    if number:
        return f"expected {number.group(1)} as a number, given {number.group(2)!r}"
    others = re.fullmatch(r"Unrecognized options: (.*)", message)
    if others:
        return f"expected nothing more, given {others.group(1)}"
    return message.removeprefix("Error parsing ")
