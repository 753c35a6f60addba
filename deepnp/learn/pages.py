"""The parts of a derivation: what the reader is told, and what the hints give away.

An operation's page, and a loss of `deepnp`, have a section "Backward", whose lines are the steps.
A docstring without it has equations; those of derivatives begin with ∂, or with d and a name.
"""

import re
from typing import NamedTuple

REMARK = 40  # a line indented so far continues the remark of the line above
OF_KERNELS = re.compile(r"The (float32 )?kernels?\b")  # a paragraph on fast forms: no part of the mathematics
DERIVATIVE = re.compile(r"(∂|(?<!\w)d\w+ = )")


class Parts(NamedTuple):
    """A derivation, divided."""

    statement: str
    steps: tuple[str, ...]  # of the derivative, one a hint


def divide(text: str) -> Parts:
    """What is given, and the steps to what is to be found."""
    lines = text.split("\n")
    marked = any(line.startswith("Backward") for line in lines)
    kept, steps = _by_sections(lines) if marked else _by_equations(lines)
    paragraphs = [text.strip("\n") for text in re.split(r"\n{2,}", "\n".join(kept)) if not OF_KERNELS.match(text)]
    return Parts("\n\n".join(filter(None, paragraphs)).strip(), tuple(_with_remarks(steps)))


def _by_sections(lines: list[str]) -> tuple[list[str], list[str]]:
    kept, steps, section = [], [], ""
    for line in lines:
        if line[:1].strip() or not line:
            section = line.split(" ")[0]
        if section == "Backward":
            steps.append(line.removeprefix("Backward").strip() if line.startswith("Backward") else line)
        elif section != "Tangent":
            kept.append(line)
    return kept, steps


def _by_equations(lines: list[str]) -> tuple[list[str], list[str]]:
    kept, steps = [], []
    for line in lines:
        found, indented = DERIVATIVE.search(line), line.startswith("    ")
        if indented and steps and steps[-1] and line.strip().startswith("="):
            steps.append(line.strip())
        elif indented and found:
            given = line[: found.start()]  # the equation of the value may stand on the same line
            kept += [given.rstrip()] if " = " in given else []
            steps.append(line[found.start() :] if " = " in given else line.strip())
        else:
            kept.append(line)
    return kept, steps


def _with_remarks(lines: list[str]) -> list[str]:
    joined: list[str] = []
    for line in lines:
        if joined and len(line) - len(line.lstrip()) >= REMARK:
            joined[-1] += "\n" + line
        elif line.strip():
            joined.append(line.strip())
    return joined
