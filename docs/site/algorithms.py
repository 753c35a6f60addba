"""The pages of algorithms: the half page of docs/algorithms, the settings of the Config, and the code."""

from dataclasses import fields

import numpy as np

import rl
from docs.site import curves, half_pages
from docs.site.links import ROOT, Links, relative, slug


def page_of(name: str) -> str:
    """The page of an algorithm."""
    return f"algorithms/{name.lower()}.md"


def file_of(name: str) -> str:
    """The file of an algorithm, from the repository's root."""
    return rl.ALGORITHMS[name].cls.__module__.replace(".", "/") + ".py"


def families() -> dict[str, list[str]]:
    """The names of the algorithms of each family, in the order of the list."""
    found: dict[str, list[str]] = {}
    for name, algorithm in rl.ALGORITHMS.items():
        found.setdefault(algorithm.family, []).append(name)
    return found


def guide_of(family: str) -> str:
    """The file with the half pages of a family."""
    return f"docs/algorithms/{family}.md"


def family_page(family: str) -> str:
    """The page that leads to the algorithms of a family."""
    return f"algorithms/{family}/index.md"


def anchors() -> dict[str, str]:
    """Links to half pages, which became pages."""
    return {f"{guide_of(a.family)}#{slug(name)}": page_of(name) for name, a in rl.ALGORITHMS.items()}


def pages(links: Links) -> dict[str, str]:
    """The pages of all algorithms, and those of the families."""
    found = {}
    for family, names in families().items():
        guide = guide_of(family)
        around, halves = half_pages.split((ROOT / guide).read_text(), names, guide)
        named = "".join(f"\n## [{name}](#{slug(name)})\n\n{half_pages.facts(half)}\n" for name, half in halves.items())
        found[family_page(family)] = links.rewritten(around + named, guide, family_page(family))
        found |= {page_of(name): _page(name, half, links) for name, half in halves.items()}
    return found


def navigation() -> list:
    """The menu: the families, each with its algorithms."""
    titles = {family: (ROOT / guide_of(family)).read_text().partition("\n")[0].removeprefix("# ") for family in families()}
    return [{titles[family]: [family_page(family), *map(page_of, names)]} for family, names in families().items()]


def _page(name: str, half: str, links: Links) -> str:
    here, algorithm = page_of(name), rl.ALGORITHMS[name]
    code = (ROOT / file_of(name)).read_text()
    guide = relative("guides/settings.md", here)
    return f"""---
hide: [toc]
---

# {name}

{algorithm.paper} · {algorithm.family.replace("_", " ")}

{half_pages.headed(links.rewritten(half, guide_of(algorithm.family), here))}

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
