"""The half pages of docs/algorithms: which there are, and as parts of a page, with headings and typeset equations."""

import re
from collections.abc import Collection

from docs.site import derivations

_FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)
_NO_PROSE = re.compile(r"(`[^`]*`|\[[^\]]*\]\([^)]*\)|^    .*\n)", re.M)
_SIGNS = r"(?:[^\s*(){}\[\]]|\([^()*]*\)|\{[^{}*]*\}|\[[^\[\]*]*\])*"  # of one word; brackets may hold spaces
_INDEXED = re.compile(f"{_SIGNS}[_^]{_SIGNS}")
_INDENTED = re.compile(r"(?:^    .*\n)+", re.M)


def split(guide: str, names: Collection[str], file: str) -> tuple[str, dict[str, str]]:
    """The text of a family's file -> what stands around the half pages, and the half page of each name.

    Raises
    ------
    ValueError
        If an algorithm has none.
    """
    before, *sections = re.split(r"^## ", guide, flags=re.M)
    titled = dict(section.split("\n", 1) for section in sections)
    if missing := [name for name in names if name not in titled]:
        raise ValueError(f'expected a half page for each algorithm in {file}, given none titled "## {missing[0]}"')
    kept = "".join(f"## {title}\n{text}" for title, text in titled.items() if title not in names)
    return before + kept, {name: titled[name] for name in names}


def facts(half: str) -> str:
    """The paragraph "**Facts.** …" of a half page, without that word."""
    return half.partition("**Facts.** ")[2].partition("\n\n")[0]


def headed(half: str) -> str:
    """A half page whose parts ("**Facts.** …") have headings, and whose equations are typeset."""
    parts = _FENCE.split(re.sub(r"^\*\*([A-Z]\w+)\.\*\* ", r"## \1\n\n", half, flags=re.M))
    parts[::2] = [_INDENTED.sub(_equations, _words(part)) for part in parts[::2]]
    return re.sub(r"^```text\n", "## Pseudocode\n\n```text\n", "".join(parts), count=1, flags=re.M)


def _words(text: str) -> str:
    """Words with an index or an exponent, typeset; code, links and indented lines are left alone."""
    parts = _NO_PROSE.split(text)
    parts[::2] = [_INDEXED.sub(lambda m: derivations.typeset_word(m.group()) or m.group(), part) for part in parts[::2]]
    return "".join(parts)


def _equations(block: re.Match) -> str:
    """Indented lines as a table of formulas and remarks; left alone where no formula is among them, as in a command."""
    rows = [re.split(r" {2,}", line.strip()) for line in block.group().splitlines()]
    if not any(derivations.reads_as_formula(part) for row in rows for part in row):
        return block.group()
    return derivations.framed("\n".join(derivations.cells(row) for row in rows)) + "\n"
