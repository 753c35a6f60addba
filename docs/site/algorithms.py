"""The pages of algorithms: the half page of docs/algorithms.md, the settings of the Config, and the code."""

from dataclasses import fields

import numpy as np

import rl
from docs.site import curves, half_pages
from docs.site.links import ROOT, Links, relative, slug

GUIDE = "docs/algorithms.md"


def page_of(name: str) -> str:
    """The page of an algorithm."""
    return f"algorithms/{name.lower()}.md"


def file_of(name: str) -> str:
    """The file of an algorithm, from the repository's root."""
    return rl.ALGORITHMS[name].cls.__module__.replace(".", "/") + ".py"


def anchors() -> dict[str, str]:
    """Links to parts of docs/algorithms.md that became pages."""
    return {f"{GUIDE}#{slug(name)}": page_of(name) for name in rl.ALGORITHMS}


def pages(links: Links) -> dict[str, str]:
    """The pages of all algorithms, and the table that leads to them."""
    table, halves = half_pages.split((ROOT / GUIDE).read_text(), rl.ALGORITHMS)
    found = {"algorithms/index.md": links.rewritten(table, GUIDE, "algorithms/index.md")}
    for name, half in halves.items():
        found[page_of(name)] = _page(name, half, links)
    return found


def _page(name: str, half: str, links: Links) -> str:
    here, algorithm = page_of(name), rl.ALGORITHMS[name]
    code = (ROOT / file_of(name)).read_text()
    guide = relative("guides/settings.md", here)
    return f"""---
hide: [toc]
---

# {name}

{algorithm.paper} · {algorithm.family.replace("_", " ")}

{half_pages.headed(links.rewritten(half, GUIDE, here))}

{curves.section(name)}
## Settings

From `{algorithm.config.__name__}`. [Settings]({guide}) compares them with those of other libraries.

| setting | default | meaning | valid |
|---|---|---|---|
{_settings(algorithm.config)}

## The code

The whole file, `{file_of(name)}`.

```python linenums="1"
{code}
```
"""


def _settings(config: type) -> str:
    rows = []
    for f in fields(config):
        meaning = f.metadata["doc"].replace("|", "\\|")
        rows.append(f"| `{f.name}` | `{f.default!r}` | {meaning} | {_valid(f.metadata)} |")
    return "\n".join(rows)


def _valid(metadata) -> str:
    """A setting's range or choices."""
    if metadata["choices"]:
        return ", ".join(f"`{choice}`" for choice in metadata["choices"])
    if metadata["low"] is None:
        return ""
    high = "" if metadata["high"] == np.inf else f" … {metadata['high']:g}"
    return f"{metadata['low']:g}{high}" if high else f"≥ {metadata['low']:g}"
