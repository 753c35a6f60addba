"""Forward and backward side by side, each line of backward with the numbers of the lines of forward that it belongs to."""

import ast
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from docs.site.flow import Tie, functions_of, ties
from docs.site.subjects import Subject, reachable

BLANK = '<span class="line"> </span>'  # the theme lays lines out as a grid, in which text outside of them is lost
WIDEST = 12  # signs before a line of backward; more numbers stand below each other


def side_by_side(subject: Subject) -> str:
    """The plain forms as HTML: two blocks of code, each with the helpers that it calls, and links between their lines."""
    functions = functions_of(subject)
    found = {line: tie for tie in ties(subject) for line in tie.lines}
    forward = _extent(functions["forward"])
    own = [_extent(functions[name]) for name in reachable(subject.text, "forward") if name not in ("forward", *subject.functions)]
    of_backward = [_extent(functions[name]) for name in subject.functions if name != "forward"]
    first = _block("forward", subject.text, [forward, *own], {}, forward.start)
    second = _block("backward", subject.text, of_backward, found, forward.start)
    return f'<div class="pair">{first}{second}</div>\n'


def explanation(subject: Subject) -> str:
    """How to read the numbers; nothing where there are none."""
    if not ties(subject):
        return ""
    return (
        "A number before a line of backward is that of a line of forward: **bold** where the line differentiates it, plain where it"
        " uses its result. Point at a line, or reach a number with the Tab key, and both light up. The numbers come from the names"
        " in the code; where names do not tell, there is none."
    )


def _extent(function: ast.FunctionDef) -> range:
    return range(function.lineno, (function.end_lineno or function.lineno) + 1)


def _block(title: str, text: str, extents: list[range], found: dict[int, Tie], start: int) -> str:
    """A block of code: every line with its gutter."""
    shown: list[str] = []
    highlighted = highlight(text, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).splitlines()
    gutters = {n: _gutter(title, n, found.get(n), start) for extent in extents for n in extent}
    for extent in extents:
        shown += [BLANK, BLANK] if shown else []
        shown += [f"{gutters[n]}{highlighted[n - 1]}</span>" for n in extent]
    width = min(max((len(_numbers(tie, start)) for tie in found.values()), default=2), WIDEST)
    code = "\n".join(shown)
    return (
        f'<div class="highlight"><span class="filename">{title}</span>'
        f'<pre style="--gutter: {width + 1}ch"><code>{code}\n</code></pre></div>'
    )


def _gutter(title: str, n: int, tie: Tie | None, start: int) -> str:
    """What stands before a line: its own number in forward, its ties in backward."""
    number = n - start + 1
    if title == "forward":
        return f'<span class="line" id="forward-{number}" data-n="{number}"><span class="gutter" data-n="{number}"></span>'
    if tie is None or n != tie.lines.start:
        return '<span class="line"><span class="gutter"></span>'
    links = [_link(of - start + 1, "differentiates") for of in tie.differentiates]
    links += [_link(of - start + 1, "uses") for of in tie.uses]
    numbers = " ".join(str(of - start + 1) for of in (*tie.differentiates, *tie.uses))
    return f'<span class="line" data-ties="{numbers}"><span class="gutter">{"".join(links)}</span>'


def _link(number: int, relation: str) -> str:
    label = escape(f"{relation} line {number} of forward")
    return f'<a class="{relation}" href="#forward-{number}" data-n="{number}" aria-label="{label}"></a>'


def _numbers(tie: Tie, start: int) -> str:
    return " ".join(str(of - start + 1) for of in (*tie.differentiates, *tie.uses))
