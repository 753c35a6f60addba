"""Pages that lead to others: everything in one list, the layer families, and the gallery of environments."""

import ast
import inspect
import re
import sys
from html import escape

import rl
from deepnp.ops import find
from docs.site import algorithms, losses, operations, optimizers, reference
from docs.site.links import ROOT, Links, relative, slug

CONTENTS, GALLERY = "contents.md", "gallery.md"
ENVIRONMENTS = "docs/environments.md"


def pages(links: Links) -> dict[str, str]:
    """The list of everything, and the gallery."""
    return {CONTENTS: contents(), GALLERY: gallery(links)}


def layer_family(module: str) -> str:
    """The page of a file of layers: its layers, the operations that each is built on, and the reference."""
    here, operations_of = reference.page_of(module), built_on(module)
    rows = []
    for name in getattr(sys.modules[module], "__all__", []):  # a file without layers has none
        links = [f"[{op.rpartition('.')[2]}]({relative(operations.page_of(op), here)})" for op in operations_of.get(name, [])]
        rows.append(f"| [`{name}`](#{module}.{name}) | {', '.join(links)} |")
    head = "| layer | operations that it is built on |\n|---|---|\n"
    table = head + "\n".join(rows) + "\n\n" if rows else ""
    return f"# {reference.title(module)}\n\n{table}::: {module}\n"


def built_on(module: str) -> dict[str, list[str]]:
    """Each class of a file of layers -> the operations that its code names."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deepnp.ops"):
            for alias in node.names:
                name = f"{node.module}.{alias.name}".removeprefix("deepnp.ops.")
                imported[alias.asname or alias.name] = name
    known, found = find(), {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            named = [imported[n.id] for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in imported]
            found[node.name] = sorted({name for name in named if name in known})
    return found


def contents() -> str:
    """Every operation, loss, optimizer, layer family and algorithm, with its page."""
    groups = {
        "Operations": {name: operations.page_of(name) for name in find()},
        "Losses": {name: losses.page_of(name) for name in losses.find()},
        "Optimizers": {optimizers.title(module): optimizers.page_of(module) for module in optimizers.MODULES},
        "Layers": {reference.title(module): reference.page_of(module) for module in reference.modules("layers")},
        "Models": {reference.title(module): reference.page_of(module) for module in reference.modules("models")},
        "Algorithms": {name: algorithms.page_of(name) for name in rl.ALGORITHMS},
    }
    sections = [
        f"## {title}\n\n{len(named)} pages.\n\n" + " · ".join(f"[{name}]({page})" for name, page in named.items()) + "\n"
        for title, named in groups.items()
    ]
    return "# Everything in one list\n\n" + "\n".join(sections)


def pictures() -> list[tuple[str, str, str]]:
    """docs/environments.md -> the first picture of each environment: its title, its file, what it shows."""
    found = []
    for section in re.split(r"^###? ", (ROOT / ENVIRONMENTS).read_text(), flags=re.M)[1:]:
        title = section.partition("\n")[0]
        shown = re.search(r"!\[([^]]+)\]\(([^)]+)\)", section)
        if shown:
            found.append((title, f"docs/{shown[2]}", shown[1]))
    return found


def gallery(links: Links) -> str:
    """Pictures of all environments that have one, each with a link to what it is."""
    guide = links.page_of(ENVIRONMENTS).removesuffix(".md") + ".html"
    figures = [_pictured(title, relative(links.page_of(file), GALLERY), said, guide) for title, file, said in pictures()]
    return f"""---
hide: [toc]
---

# The environments in pictures

Trained agents, in episodes that they were not trained in; the classic tasks; and what is observed in pixels. A name leads to the
task, to the figures that were measured, and to the command that trains the agent. Gymnasium's own tasks are not shown.

<div class="gallery">{"".join(figures)}</div>
"""


def _pictured(title: str, file: str, said: str, guide: str) -> str:
    """A picture with its caption; a still one shows several tasks side by side, and takes a row."""
    row = ' class="wide"' if file.endswith(".png") else ""
    return (
        f'<figure{row}><img src="{escape(file)}" alt="{escape(said)}" loading="lazy"><figcaption>'
        f'<a href="{guide}#{slug(title)}">{escape(title)}</a>: {escape(said[0].lower() + said[1:])}</figcaption></figure>'
    )
