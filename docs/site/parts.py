"""Parts that pages of operations, losses and optimizers share: tables, the worked example, the what-if table, papers, code."""

import re
from html import escape
from types import ModuleType

import numpy as np

from deepnp.gradcheck import TOLERANCE
from docs.site.links import ROOT
from docs.site.what_if import SEPARATION, Change, WhatIf
from docs.site.worked import Worked


def table(head: list[str], rows: list[list[str]], label: str) -> str:
    """A table of HTML cells that scrolls by itself where it is wider than the page."""
    first = "".join(f"<th>{cell}</th>" for cell in head)
    others = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    inner = f'<table class="plain"><thead><tr>{first}</tr></thead><tbody>{others}</tbody></table>'
    return f'<div class="scrolls" tabindex="0" role="group" aria-label="{escape(label)}">{inner}</div>\n'


def code(text: str) -> str:
    """Inline code in a cell."""
    return f"<code>{escape(text)}</code>"


def array(x) -> str:
    """Numbers in a cell, one row a line."""
    text = np.array2string(np.asarray(x), precision=4, suppress_small=True, separator=" ", floatmode="maxprec", max_line_width=100)
    return f"<pre>{escape(re.sub(r'[][]', '', text).replace(chr(10) + ' ', chr(10)))}</pre>"


def worked_example(worked: Worked, is_loss: bool) -> str:
    """The section of small numbers beside their central differences."""
    settings = ", ".join(f"`{key}` = {_short(value)}" for key, value in worked.settings.items() if value is not None)
    rows = [[code(a.name), array(a.value), array(a.gradient), array(a.numerical), f"{a.error:.0e}"] for a in worked.arguments]
    head = ["argument", "value", "gradient, by hand", "central difference", "relative error"]
    projected = "the loss" if is_loss else "⟨dy, y⟩"
    return f"""## A worked example

Random numbers of two digits, computed when this page was built. The central difference moves one number at a time by 10⁻⁵, up and
down, and divides the change of {projected} by 2·10⁻⁵.

{"Given: " + settings + "." if settings else ""}

{table(head, rows, "arguments and gradients")}
{_results(worked, is_loss)}"""


def _results(worked: Worked, is_loss: bool) -> str:
    if is_loss:
        return f"The loss is {float(worked.y[0]):.6g}.\n"
    several = len(worked.y) > 1
    rows = [
        [f"y<sub>{i}</sub>" if several else "y", array(y), array(dy)]
        for i, (y, dy) in enumerate(zip(worked.y, worked.dy, strict=True))
    ]
    return table(["result", "value", "upstream gradient dy"], rows, "results and upstream gradients")


def _short(value) -> str:
    if isinstance(value, ModuleType):
        return f"`{value.__name__.rpartition('.')[2]}`"
    if callable(value):
        return f"`{value.__name__}`"
    if isinstance(value, np.ndarray):
        return "`" + " ".join(np.array2string(value, precision=3, separator=", ").split()) + "`"
    return f"`{value}`"


def what_if_section(checked: WhatIf) -> str:
    """The section of changed expressions and their errors."""
    order = sorted(checked.changes, key=lambda change: not checked.separated(change))
    rows = [[c.kind, code(c.before), code(c.after), _seen(checked, c)] for c in order]
    head = ["change", "in the file", "changed", "error of the gradient check"]
    return f"""## What if

Each row changes one expression of the plain form, and runs the gradient check on all cases of the file. Unchanged, the largest
error is {max(checked.right.values()):.0e}; the check's limit is {TOLERANCE:.0e}. {_verdict(checked)}

{table(head, rows, "changes and the errors that the gradient check finds")}
{_left_out(checked)}"""


def _verdict(checked: WhatIf) -> str:
    apart = sum(checked.separated(change) for change in checked.changes)
    if apart == len(checked.changes):
        return f"Every one of the {apart} changes has an error at least {SEPARATION:,.0f} times as large."
    of_all = f"{apart} of {len(checked.changes)} changes"
    return f"{of_all} have an error at least {SEPARATION:,.0f} times as large; the others say why not."


def _left_out(checked: WhatIf) -> str:
    """What was not changed, and which changes are no gradients at all."""
    text = (
        "Left alone were shapes, indices, conditions and checks, which are no mathematics, and fast forms, which other tests"
        " compare with the plain one. An expression that stands twice was changed where a case comes to it."
    )
    if not checked.left_out:
        return f"{text} Every change runs.\n"
    rows = [[c.kind, code(c.before), code(c.after), c.why] for c in checked.left_out]
    inner = table(["change", "in the file", "changed", "why it was left out"], rows, "changes that were left out")
    n = len(rows)
    said = f"{n} change{'s' if n > 1 else ''} left out, because the result is no gradient of the right shape"
    return f"{text}\n\n<details><summary>{said}</summary>\n{inner}</details>\n"


def why_not(change: Change, right: dict[str, float]) -> str:
    """Why the gradient check does not see a change; empty where nothing explains it."""
    if not change.reached:
        return "no case comes to this expression"
    if change.errors == right:
        return "changes no gradient on these cases: what it keeps out is not there, or only the value depends on it"
    if change.error < 10 * max(right.values()):
        return "changes gradients by no more than rounding: it guards against overflow, or against a division by zero"
    return ""


def _seen(checked: WhatIf, change: Change) -> str:
    if not checked.separated(change):
        return why_not(change, checked.right)
    wrong = [f"d{name} {_size(error)}" for name, error in change.errors.items() if error > TOLERANCE]
    return ", ".join(wrong)


def _size(error: float) -> str:
    return "is not finite" if error == float("inf") else f"{error:.0e}"


def papers(text: str) -> list[str]:
    """Lines for the papers of docs/references.md that a text cites."""
    rows = [row for row in (ROOT / "docs" / "references.md").read_text().splitlines() if row.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    plain = text.replace("et al., ", "et al. ")
    return [f"- {cited}: {work}" for cited, work, *_ in cells if cited in plain and re.search(r"\d{4}", cited)]
