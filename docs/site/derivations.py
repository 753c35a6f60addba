"""A docstring's derivation as HTML: formulas typeset, reasons beside them.

A line of a derivation holds formulas and reasons, two or more spaces apart. What reads as a formula is typeset; everything else is
shown as the text that it is.
"""

import re
from dataclasses import dataclass
from html import escape

from docs.site.formulas import FUNCTIONS, Unreadable, mathml

_LABEL = re.compile(r"(Forward|Backward|Tangent|Inference|Correction|Iteration|Stable form)\b:?( {2,}|$)")
_SECTION = re.compile(r"\n *\n(Parameters|Returns|Raises|Examples|[^\n]*->)[^\n]*\n", re.M)
_RELATION = re.compile(r"[=←≈≤≥∈<>]")
_WORD = re.compile(r"(?<![\w{_^])(?:[A-Za-z]{3,}|by|is|it|of|on|so|we)(?![\w_^(])")
_IN_FORMULAS = FUNCTIONS | {
    "for", "where", "elsewhere", "beyond", "and", "mask", "stride", "dilation", "padding", "kernel", "base",
    "low", "high", "old", "new",
}  # fmt: skip


@dataclass(frozen=True)
class Docstring:
    """The parts of an operation's docstring."""

    title: str
    letters: str  # what the shape letters mean
    body: str


def split(docstring: str) -> Docstring:
    """The first line's title, the letters that follow it, and the rest."""
    first, _, body = docstring.strip("\n").partition("\n")
    title, *letters = re.split(r" {3,}", first.strip())
    return Docstring(title.rstrip("."), "; ".join(letters), body.strip("\n"))


def mathematics(body: str) -> str:
    """A docstring's body up to its arguments, which the reference has."""
    return _SECTION.split(f"\n\n{body}\n")[0].strip("\n")


def html(body: str) -> str:
    """A docstring's body as HTML: derivations as tables, other paragraphs as prose."""
    return "\n".join(_block(block.splitlines()) for block in re.split(r"\n\s*\n", body) if block.strip())


def _block(lines: list[str]) -> str:
    if _LABEL.match(lines[0]):
        return _table(lines)
    if len(lines) > 1 and all(line.startswith("    ") for line in lines[1:]) and not lines[0].startswith(" "):
        return f"<p>{prose(lines[0])}</p>\n{_table(lines[1:])}"
    if all(line.startswith("    ") for line in lines):
        return _table(lines)
    return f"<p>{prose(' '.join(line.strip() for line in lines))}</p>"


def _table(lines: list[str]) -> str:
    rows = "\n".join(_row(line) for line in lines)
    return framed(rows)


def framed(rows: str) -> str:
    """Rows of a derivation as a table that scrolls by itself."""
    table = f'<table class="plain" role="presentation">{rows}</table>'
    return f'<div class="derivation" tabindex="0" role="group" aria-label="derivation">{table}</div>'


def cells(segments: list[str]) -> str:
    """A row with a cell for each text, typeset where it is a formula."""
    typeset = [("formula", mathml(s)) if reads_as_formula(s) else ("reason", prose(s)) for s in segments]
    return "<tr>" + "".join(f'<td class="{kind}">{text}</td>' for kind, text in typeset) + "</tr>"


def _row(line: str) -> str:
    """One line: its label, its formulas, its reasons."""
    label = match.group(1) if (match := _LABEL.match(line)) else ""
    rest = line[match.end() :] if match else line
    indent = (len(line) - len(rest.lstrip())) if not match else 0
    aligned = re.sub(r"(?<=\S) {2,}(?== )", " ", rest.strip())  # "y_i   = x_i": spaces before a sign of equality only align it
    segments = [s for s in re.split(r" {2,}", aligned) if s]
    formulas = 0
    while formulas < len(segments) and reads_as_formula(segments[formulas]):
        formulas += 1
    reason = " &ensp; ".join(prose(s) for s in segments[formulas:])
    typeset = '<span class="gap"></span>'.join(mathml(s) for s in segments[:formulas])
    head = f'<th scope="row">{label}</th>' if label else "<td></td>"
    if not formulas and indent < 30:  # a sentence of its own, not a reason beside a formula
        return f'<tr>{head}<td colspan="2" class="reason">{reason}</td></tr>'
    return f'<tr>{head}<td class="formula">{typeset}</td><td class="reason">{reason}</td></tr>'


def reads_as_formula(segment: str) -> bool:
    """Whether a text is a formula that can be typeset: it relates two things, and has no words but those of a formula."""
    if not _RELATION.search(segment) or any(word not in _IN_FORMULAS for word in _WORD.findall(segment)):
        return False
    if re.match(r"(and|where|for|each)\b", segment) or ": " in segment:
        return False
    return _typeset(segment) is not None


def prose(text: str) -> str:
    """A sentence: its code as code, clauses that are formulas and single words with indices or exponents typeset."""
    clauses = text.split(", so ")
    if len(clauses) > 1:
        return ", so ".join(mathml(clause) if reads_as_formula(clause) else prose(clause) for clause in clauses)
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"<code>{escape(part.strip('`'))}</code>" if i % 2 else " ".join(_prose_word(word) for word in part.split(" "))
        for i, part in enumerate(parts)
    )


def _prose_word(word: str) -> str:
    return typeset_word(word) or escape(word)


def typeset_word(word: str) -> str | None:
    """A word with an index or an exponent, typeset; None for any other."""
    core = word.rstrip(",:;.")
    typeset = _typeset(core) if re.search(r"[_^]", core) and not re.search(r"[a-z]{4}|\.py", core) else None
    return typeset + escape(word[len(core) :]) if typeset else None


def _typeset(text: str) -> str | None:
    try:
        return mathml(text)
    except Unreadable:
        return None
