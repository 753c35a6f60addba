"""The page of one operation, from its file."""

import ast
import inspect
import re
from html import escape
from pathlib import Path
from types import ModuleType

import numpy as np

from deepnp.gradcheck import TOLERANCE
from docs.site import derivations, pictures
from docs.site.links import ROOT, Links, relative
from docs.site.what_if import SEPARATION, Change, WhatIf, reachable, what_if
from docs.site.worked import Worked, work

ERRATA = {
    "linear": ["test_linear_weight_gradient"],
    "activation.gelu": ["test_gelu_is_not_silu"],
    "activation.gelu_tanh": ["test_gelu_derivative"],
    "activation.mish": ["test_mish_derivative"],
    "regularization.spectral_norm": ["test_spectral_norm_gradient"],
    "recurrent.rnn": ["test_recurrent_gradients"],
}


def file_of(name: str) -> str:
    """The file of an operation, from the repository's root."""
    return f"deepnp/ops/{name.replace('.', '/')}.py"


def page_of(name: str) -> str:
    """The page of an operation."""
    return f"operations/{name.replace('.', '/')}.md"


def reading_order(guide: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """docs/derivations.md -> its sections, each with its operations and what is said of them."""
    sections = []
    for section in re.split(r"^## ", guide, flags=re.M)[1:]:
        title, _, body = section.partition("\n")
        found = []
        for item in re.split(r"^- ", body, flags=re.M)[1:]:
            names = re.findall(r"\.\./deepnp/ops/([\w/]+)\.py", item)
            said = " ".join(item.partition("):")[2].split()) if "):" in item else ""
            found += [(name.replace("/", "."), said) for name in names]
        sections.append((title.lstrip("0123456789. "), found))
    return sections


def page(name: str, op: ModuleType, said: str, neighbours: tuple[str | None, str | None], links: Links) -> str:
    """The whole page, as Markdown with HTML."""
    doc = derivations.split(inspect.getdoc(op) or "")
    checked, worked = what_if(op), work(name, op)
    here = page_of(name)
    source = relative(links.pages[file_of(name)], here)
    parts = [
        f"---\ntitle: {name.rpartition('.')[2].replace('_', ' ').capitalize()}\nhide: [toc]\n---\n",
        f"# {doc.title}\n",
        f"{said[:1].upper()}{said[1:]}\n" if said else "",
        f"Shapes: {doc.letters}.\n" if doc.letters else "",
        _way(neighbours, here),
        f"## Derivation\n\n{derivations.html(doc.body)}\n",
        pictures.figure(name, op),
        _code(op, source),
        _worked(worked),
        _what_if(checked),
        _cost(op, worked),
        _sources(name, inspect.getdoc(op) or "", here),
        f"\n## Check it\n\n```bash\npython -m deepnp.gradcheck {name.rpartition('.')[2]}\n```\n",
    ]
    return "\n".join(part for part in parts if part)


def _way(neighbours: tuple[str | None, str | None], here: str) -> str:
    """Links to what to read before and after."""
    said = []
    for word, name in zip(("Before this page", "After it"), neighbours):
        if name:
            said.append(f"{word}: [{name.rpartition('.')[2].replace('_', ' ')}]({relative(page_of(name), here)}).")
    return " ".join(said) + "\n"


def _code(op: ModuleType, source: str) -> str:
    """The plain forward and backward, side by side, with the helpers of this file that backward calls."""
    text = inspect.getsource(op)
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    forward = ast.get_source_segment(text, functions["forward"])
    names = [name for name in reachable(op) if name != "forward"]
    backward = "\n\n\n".join(ast.get_source_segment(text, functions[name]) or "" for name in names)
    return f"""## Forward and backward

The plain forms, as they stand in [the file]({source}). Fast kernels below them compute the same.

<div class="pair" markdown>
<div markdown>

```python title="forward"
{forward}
```

</div>
<div markdown>

```python title="backward"
{backward}
```

</div>
</div>

{_ties(functions["forward"], functions["backward"], text)}"""


def _ties(forward: ast.FunctionDef, backward: ast.FunctionDef, text: str) -> str:
    """Which lines of forward each gradient differentiates: those that read the argument."""
    returned = [node.value for node in ast.walk(backward) if isinstance(node, ast.Return)]
    arguments = [a.arg for a in forward.args.args]
    if len(returned) != 1:
        return ""
    values = returned[0].elts if isinstance(returned[0], ast.Tuple) else [returned[0]]
    if any(isinstance(value, ast.Starred) for value in values) or len(values) > len(arguments):
        return ""
    rows = []
    for argument, value in zip(arguments, values):
        reading = [s for s in forward.body if any(isinstance(n, ast.Name) and n.id == argument for n in ast.walk(s))]
        lines = "<br>".join(f"<code>{escape(_first_line(s, text))}</code>" for s in reading if not isinstance(s, ast.If))
        rows.append(f"<tr><td><code>{escape(ast.unparse(value))}</code></td><td><code>{argument}</code></td><td>{lines}</td></tr>")
    head = "<tr><th>backward returns</th><th>the gradient of</th><th>which these lines of forward read</th></tr>"
    return _scrolling(f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody>", "gradients and the lines they belong to")


def _first_line(statement: ast.stmt, text: str) -> str:
    return (ast.get_source_segment(text, statement) or "").splitlines()[0]


def _scrolling(table: str, label: str) -> str:
    return f'<div class="scrolls" tabindex="0" role="group" aria-label="{label}"><table class="plain">{table}</table></div>\n'


def _worked(worked: Worked) -> str:
    settings = ", ".join(f"`{key}` = {_short(value)}" for key, value in worked.settings.items() if value is not None)
    results = "".join(
        f"<tr><td>y{_number(i, worked.y)}</td><td>{_array(y)}</td><td>dy{_number(i, worked.y)}</td><td>{_array(dy)}</td></tr>"
        for i, (y, dy) in enumerate(zip(worked.y, worked.dy))
    )
    rows = "".join(
        f"<tr><td><code>{a.name}</code></td><td>{_array(a.value)}</td><td>{_array(a.gradient)}</td>"
        f"<td>{_array(a.numerical)}</td><td>{a.error:.0e}</td></tr>"
        for a in worked.arguments
    )
    head = "<tr><th>argument</th><th>value</th><th>gradient by backward</th><th>central difference</th><th>relative error</th></tr>"
    upper = "<tr><td></td><th>result</th><td></td><th>upstream gradient</th></tr>"
    first = f"<thead>{upper}</thead><tbody>{results}</tbody>"
    second = f"<thead>{head}</thead><tbody>{rows}</tbody>"
    return f"""## A worked example

Random numbers of two digits, computed when this page was built. The central difference moves one number at a time by 10⁻⁵, up and
down, and divides the change of ⟨dy, y⟩ by 2·10⁻⁵.

{"Settings: " + settings + "." if settings else ""}

{_scrolling(second, "arguments and gradients")}
{_scrolling(first, "results and upstream gradients")}"""


def _number(i: int, parts: tuple) -> str:
    return f"<sub>{i}</sub>" if len(parts) > 1 else ""


def _short(value) -> str:
    if isinstance(value, ModuleType):
        return f"`{value.__name__.rpartition('.')[2]}`"
    if callable(value):
        return f"`{value.__name__}`"
    if isinstance(value, np.ndarray):
        return "`" + " ".join(np.array2string(value, precision=3, separator=", ").split()) + "`"
    return f"`{value}`"


def _array(x: np.ndarray) -> str:
    text = np.array2string(x, precision=4, suppress_small=True, separator=" ", floatmode="maxprec", max_line_width=100)
    return f"<pre>{escape(re.sub(r'[][]', '', text).replace(chr(10) + ' ', chr(10)))}</pre>"


def _what_if(checked: WhatIf) -> str:
    largest = max(checked.right.values())
    order = sorted(checked.changes, key=lambda change: not checked.separated(change))
    rows = "".join(_change_row(checked, change) for change in order)
    head = "<tr><th>change</th><th>in the file</th><th>changed</th><th>error of the gradient check</th></tr>"
    return f"""## What if

Each row changes one expression of the plain backward pass, and runs the gradient check on all cases of the file. Unchanged, the
largest error is {largest:.0e}; the check's limit is {TOLERANCE:.0e}. {_verdict(checked)}

{_scrolling(f"<thead>{head}</thead><tbody>{rows}</tbody>", "changes of the backward pass and their errors")}"""


def _verdict(checked: WhatIf) -> str:
    apart = sum(checked.separated(change) for change in checked.changes)
    if apart == len(checked.changes):
        return f"Every one of the {apart} changes has an error at least {SEPARATION:,.0f} times as large."
    of_all = f"{apart} of {len(checked.changes)} changes"
    return f"{of_all} have an error at least {SEPARATION:,.0f} times as large; the others say why not."


def why_not(change: Change, right: dict[str, float]) -> str:
    """Why the gradient check does not see a change; empty where nothing explains it."""
    if not change.reached:
        return "no case comes to this expression"
    if change.errors == right:
        return "changes no number on these cases: what it keeps out is not there, or is kept out elsewhere too"
    return ""


def _change_row(checked: WhatIf, change: Change) -> str:
    if checked.separated(change):
        wrong = [f"d{name} {error:.0e}" for name, error in change.errors.items() if error > TOLERANCE]
        verdict = ", ".join(wrong)
    else:
        verdict = why_not(change, checked.right)
    cells = f"<td>{change.kind}</td><td><code>{escape(change.before)}</code></td><td><code>{escape(change.after)}</code></td>"
    return f"<tr>{cells}<td>{verdict}</td></tr>"


def _cost(op: ModuleType, worked: Worked) -> str:
    text = inspect.getsource(op)
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    given = sum(a.value.size for a in worked.arguments)
    counts = _products([functions["forward"]]), _products(list(reachable(op).values()))
    products = f"Matrix products in the plain code: {counts[0]} forward, {counts[1]} backward.\n\n" if any(counts) else ""
    return f"""## Cost

{products}In the worked example the arguments hold {given} numbers and the results {sum(y.size for y in worked.y)}. Between the two
passes the cache keeps {worked.kept} numbers beside the arguments themselves, which it does not copy.
"""


def _products(functions: list[ast.FunctionDef]) -> int:
    nodes = [node for function in functions for node in ast.walk(function)]
    signs = sum(isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) for node in nodes)
    return signs + sum(isinstance(node, ast.Attribute) and node.attr == "matmul" for node in nodes)


def _sources(name: str, doc: str, here: str) -> str:
    """Papers that the file names, and printed formulas that are wrong."""
    rows = [row for row in (ROOT / "docs" / "references.md").read_text().splitlines() if row.startswith("| ")]
    text = doc.replace("et al., ", "et al. ")
    papers = [
        cells
        for row in rows
        if (cells := [c.strip() for c in row.strip("|").split("|")])[0] in text and re.search(r"\d{4}", cells[0])
    ]
    parts = [f"- {cited}: {work}" for cited, work in (cells[:2] for cells in papers)]
    errata = [
        row for row in (ROOT / "docs" / "errata.md").read_text().splitlines() if any(f"`{t}`" in row for t in ERRATA.get(name, []))
    ]
    for row in errata:
        where, printed, right, evidence, _ = [c.strip() for c in re.split(r"(?<!\\)\|", row.strip("|"))]
        place = relative("guides/errata.md", here)
        parts.append(
            f"- Printed wrong in the thesis ({where}): {printed}. Right: {right}. Evidence: {evidence}. See [errata]({place})."
        )
    return "## Papers, and formulas printed wrong\n\n" + "\n".join(parts) + "\n" if parts else ""


def pages(operations: dict[str, ModuleType], links: Links) -> dict[str, str]:
    """All pages of operations, and their index."""
    sections = reading_order(Path(ROOT / "docs" / "derivations.md").read_text())
    order = [entry for _, entries in sections for entry in entries if entry[0] in operations]
    said = dict(order)
    names = list(said)
    found = {}
    for i, name in enumerate(names):
        before, after = names[i - 1] if i else None, names[i + 1] if i + 1 < len(names) else None
        found[page_of(name)] = page(name, operations[name], said[name], (before, after), links)
    return found
