"""The page of one loss, from its function: deepnp's and those of reinforcement learning."""

import ast
import inspect
from collections.abc import Callable

from deepnp.cases import losses as with_cases
from docs.site import derivations, parts
from docs.site.links import Links, relative
from docs.site.subjects import Subject, of_loss
from docs.site.what_if import what_if
from docs.site.worked import work

PACKAGES = ("deepnp.losses", "rl.losses")


def find() -> dict[str, tuple[Callable, list[dict]]]:
    """Every loss with CASES, by its name: the function and its cases."""
    found = with_cases(*PACKAGES)
    return {name.rpartition(".")[2]: entry for name, entry in found.items()}


def page_of(name: str) -> str:
    """The page of a loss."""
    return f"losses/{name}.md"


def file_of(loss: Callable) -> str:
    """The file of a loss, from the repository's root."""
    return loss.__module__.replace(".", "/") + ".py"


def pages(links: Links) -> dict[str, str]:
    """All pages of losses, and their index."""
    found = find()
    made = {page_of(name): _page(name, loss, cases, links) for name, (loss, cases) in found.items()}
    return {"losses/index.md": _index(found), **made}


def _index(found: dict[str, tuple[Callable, list[dict]]]) -> str:
    groups = []
    for package, title in zip(PACKAGES, ("Losses of predictions", "Losses of reinforcement learning"), strict=True):
        rows = [
            f"- [`{name}`]({name}.md): {_title(loss)}." for name, (loss, _) in found.items() if loss.__module__.startswith(package)
        ]
        groups.append(f"## {title}\n\n" + "\n".join(rows) + "\n")
    return """# Losses

A loss returns its value and its gradient in one pass. The mean over the batch is taken here and nowhere else: layers sum.

""" + "\n".join(groups)


def _title(loss: Callable) -> str:
    return derivations.split(inspect.getdoc(loss) or "").title


def _page(name: str, loss: Callable, cases: list[dict], links: Links) -> str:
    subject, here = of_loss(loss, cases), page_of(name)
    doc = derivations.split(inspect.getdoc(loss) or "")
    file = derivations.split(inspect.getdoc(subject.module) or "")
    module, body = loss.__module__, derivations.mathematics(doc.body)
    reference = f"{relative(f'reference/{module}.md', here)}#{module}.{name}"
    sections = [
        f"---\ntitle: {name}\nhide: [toc]\n---\n",
        f"# {doc.title}\n",
        f"`{module}.{name}`. [Arguments and errors]({reference}).\n",
        f"Shapes: {doc.letters or file.letters}.\n" if doc.letters or file.letters else "",
        f"## Derivation\n\n{derivations.html(body)}\n" if body else "",
        f"## What holds for all losses of the file\n\n{derivations.html(file.body)}\n" if file.body else "",
        f"## The code\n\n{_said(links.page_of(file_of(loss)), here)}\n\n```python\n{code(subject)}\n```\n",
        parts.worked_example(work(name, subject), is_loss=True),
        parts.what_if_section(what_if(subject)),
        _sources((inspect.getdoc(loss) or "") + (inspect.getdoc(subject.module) or "")),
        f"\n## Check it\n\n```bash\npython -m deepnp.gradcheck losses.{name}\n```\n" if module.startswith("deepnp") else "",
    ]
    return "\n".join(section for section in sections if section)


def _said(source: str, here: str) -> str:
    return (
        f"The plain form, from [the file]({relative(source, here)}), without its docstring and without the choice of fast forms."
        " Value and gradient share what both need."
    )


def code(subject: Subject) -> str:
    """The loss and the helpers of its file that it calls, without docstrings and without the lines that choose fast forms."""
    lines = subject.text.splitlines()
    return "\n\n\n".join("\n".join(_without_docstring(function, lines)) for function in subject.functions.values())


def _without_docstring(function: ast.FunctionDef, lines: list[str]) -> list[str]:
    first = function.body[int(ast.get_docstring(function) is not None)]
    return lines[function.lineno - 1 : function.body[0].lineno - 1] + lines[first.lineno - 1 : function.end_lineno]


def _sources(text: str) -> str:
    found = parts.papers(text)
    return "## Papers\n\n" + "\n".join(found) + "\n" if found else ""
