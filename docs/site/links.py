"""Where a file of the repository stands on the site, and links between pages.

A link of a guide leads to a file: a guide, an operation, an algorithm, a picture, any source. Files without a page of their own get
one that shows them.
"""

import json
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"(\]\()([^)\s]+)(\))|(src=\")([^\"]+)(\")")
_FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)


def slug(title: str, separator: str = "-") -> str:
    """A title's anchor, as GitHub spells it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", separator)


def guides() -> list[str]:
    """The guides, from the repository's root: every Markdown file of docs and its folders, but for the site's own."""
    files = (p.relative_to(ROOT) for p in (ROOT / "docs").rglob("*.md"))
    return sorted(str(file) for file in files if "site" not in file.parts)


class Links:
    """Pages by the file that they show.

    Attributes
    ----------
    pages : dict of str to str
        A file of the repository -> its page.
    anchors : dict of str to str
        "docs/algorithms/actor_critic.md#sac" -> the page that this part became.
    shown : set of str
        Files and folders that need a page which shows them; pictures are copied.
    """

    def __init__(self, pages: dict[str, str], anchors: dict[str, str]):
        self.pages, self.anchors, self.shown = pages, anchors, set()

    def page_of(self, file: str) -> str:
        """The page of a file or folder; one that has none will be shown."""
        if file in self.pages:
            return self.pages[file]
        self.shown.add(file)
        if Path(file).suffix in (".png", ".gif", ".svg"):
            return f"files/{file}"
        return f"source/{file}.md"

    def rewritten(self, text: str, file: str, page: str) -> str:
        """The text of `file`, whose links are relative to it, for `page`, where they are relative to that; code is left alone."""
        parts = _FENCE.split(text)
        parts[::2] = [_LINK.sub(lambda m: self._link(m, file, page), part) for part in parts[::2]]
        return "".join(parts)

    def _link(self, match: re.Match, file: str, page: str) -> str:
        opening, link, closing = match.group(1, 2, 3) if match.group(1) else match.group(4, 5, 6)
        elsewhere = "://" in link or link.startswith("mailto:")
        here = link.startswith("#") and self.pages.get(file, page) == page and f"{file}{link}" not in self.anchors
        if elsewhere or here:
            return match.group()
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(file), path)) if path else file
        if f"{target}#{anchor}" in self.anchors:
            return f"{opening}{relative(self.anchors[f'{target}#{anchor}'], page)}{closing}"
        found = relative(self.page_of(target), page)
        return f"{opening}{found}{'#' + anchor if anchor else ''}{closing}"


def relative(target: str, page: str) -> str:
    """A link from one page to another."""
    return os.path.relpath(target, os.path.dirname(page) or ".")


def _listed(path: Path, page: str, links: Links) -> str:
    """A line of a folder's list, with a link where the file has a page already: showing all files would be the repository."""
    target = links.pages.get(str(path.relative_to(ROOT)))
    return f"- [`{path.name}`]({relative(target, page)})" if target else f"- `{path.name}`"


def notebook(text: str) -> str:
    """The cells of a notebook as Markdown, without their outputs: pictures are words of 40,000 letters, which break the search."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(source if kind == "markdown" else f"```python\n{source}\n```" for kind, source in cells) + "\n"


def shown(file: str, links: Links) -> str:
    """The page that shows a file or lists a folder."""
    path, page = ROOT / file, f"source/{file}.md"
    if path.is_dir():
        inner = sorted(p for p in path.iterdir() if p.suffix == ".py" or (p.is_dir() and (p / "__init__.py").exists()))
        rows = [_listed(p, page, links) for p in inner]
        return f"# `{file}`\n\n" + "\n".join(rows) + "\n"
    if path.suffix in (".md", ".ipynb"):
        text = path.read_text()
        return links.rewritten(notebook(text) if path.suffix == ".ipynb" else text, file, page)
    language = {".py": "python", ".xml": "xml", ".toml": "toml"}.get(path.suffix, "text")
    return f"# `{file}`\n\n````{language}\n{path.read_text()}\n````\n"
