"""The page of one operation, from its file."""

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType

from docs.site import derivations, fields, graph, parts, pictures, ties
from docs.site.links import ROOT, Links, relative
from docs.site.subjects import Subject, of_operation
from docs.site.what_if import what_if
from docs.site.worked import Worked, kept, work

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
    subject = of_operation(op)
    worked = work(name, subject)
    here = page_of(name)
    source = relative(links.pages[file_of(name)], here)
    sections = [
        f"---\ntitle: {name.rpartition('.')[2].replace('_', ' ').capitalize()}\nhide: [toc]\n---\n",
        f"# {doc.title}\n",
        f"{said[:1].upper()}{said[1:]}\n" if said else "",
        f"Shapes: {doc.letters}.\n" if doc.letters else "",
        _way(neighbours, here),
        f"## Derivation\n\n{derivations.html(doc.body)}\n",
        _picture(name, op),
        _code(subject, source),
        parts.worked_example(worked, is_loss=False),
        parts.what_if_section(what_if(subject)),
        graph.figure(name, subject),
        _cost(subject, worked, kept(subject, name)),
        _sources(name, inspect.getdoc(op) or "", here),
        f"\n## Check it\n\n```bash\npython -m deepnp.gradcheck {name.rpartition('.')[2]}\n```\n",
    ]
    return "\n".join(section for section in sections if section)


def _picture(name: str, op: ModuleType) -> str:
    """The picture that helps with an operation; nothing where none does."""
    group, _, kind = name.rpartition(".")
    if group == "activation" and kind not in ("softmax", "log_softmax", "glu"):
        return pictures.activation(name, op)
    return fields.figure(name, op)


def _way(neighbours: tuple[str | None, str | None], here: str) -> str:
    """Links to what to read before and after."""
    said = []
    for word, name in zip(("Before this page", "After it"), neighbours):
        if name:
            said.append(f"{word}: [{name.rpartition('.')[2].replace('_', ' ')}]({relative(page_of(name), here)}).")
    return " ".join(said) + "\n"


def _code(subject: Subject, source: str) -> str:
    """The plain forward and backward, side by side, with the helpers of this file that they call."""
    return f"""## Forward and backward

The plain forms, from [the file]({source}), without the lines that choose a fast form. The kernels below them in the file compute
the same. {ties.explanation(subject)}

{ties.side_by_side(subject)}"""


def _cost(subject: Subject, worked: Worked, cached: int) -> str:
    functions = {node.name: node for node in ast.parse(subject.text).body if isinstance(node, ast.FunctionDef)}
    given = sum(a.value.size for a in worked.arguments)
    counts = _products([functions["forward"]]), _products(list(subject.functions.values()))
    products = f"Matrix products in the plain code: {counts[0]} forward, {counts[1]} backward.\n\n" if any(counts) else ""
    return f"""## Cost

{products}In the worked example the arguments hold {given} numbers and the results {sum(y.size for y in worked.y)}. Between the two
passes the cache keeps {cached} numbers beside the arguments themselves, which it does not copy.
"""


def _products(functions: list[ast.FunctionDef]) -> int:
    nodes = [node for function in functions for node in ast.walk(function)]
    signs = sum(isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) for node in nodes)
    return signs + sum(isinstance(node, ast.Attribute) and node.attr == "matmul" for node in nodes)


def _sources(name: str, doc: str, here: str) -> str:
    """Papers that the file names, and printed formulas that are wrong."""
    found = parts.papers(doc)
    errata = (ROOT / "docs" / "errata.md").read_text().splitlines()
    for row in errata:
        if any(f"`{test}`" in row for test in ERRATA.get(name, [])):
            where, printed, right, evidence, _ = [c.strip() for c in re.split(r"(?<!\\)\|", row.strip("|"))]
            place = relative("guides/errata.md", here)
            wrong = f"Printed wrong in the thesis ({where}): {printed}. Right: {right}. Evidence: {evidence}."
            found.append(f"- {wrong} See [errata]({place}).")
    return "## Papers, and formulas printed wrong\n\n" + "\n".join(found) + "\n" if found else ""


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
