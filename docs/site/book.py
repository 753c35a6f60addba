"""The whole site: pages from sources and guides, then HTML from pages."""

import re
import shutil
from pathlib import Path

from mkdocs.commands.build import build as build_html
from mkdocs.config.defaults import MkDocsConfig

import deepnp
from deepnp.backend import kernels_enabled
from deepnp.ops import find
from docs.site import algorithms, contents, losses, operations, optimizers, reference
from docs.site.links import ROOT, Links, guides, shown, slug

HERE = Path(__file__).parent
ASSETS = ("style.css", "ties.js", "iframe-worker.js")
_INDEXES = {"docs/README.md": "guides/index.md", "docs/algorithms.md": "algorithms/index.md", "docs/results.md": "results/index.md"}


def build(out: Path) -> Path:
    """Make the site.

    Parameters
    ----------
    out : Path
        A folder for the pages (`out/pages`) and for the site (`out/html`); both are made anew.

    Returns
    -------
    Path
        The folder of the site: `index.html` in it is the beginning.

    Raises
    ------
    FileExistsError
        If `out/pages` or `out/html` is there and no earlier build made it.
    """
    pages, html = out / "pages", out / "html"
    _make_room(out, pages, html)
    for page, text in everything().items():
        target = pages / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, Path):
            shutil.copyfile(text, target)
        else:
            target.write_text(text)
    build_html(configuration(pages, html))
    return html


def _make_room(out: Path, *made: Path) -> None:
    """Remove what an earlier build made, and nothing else: a mark tells."""
    mark = out / ".book"
    if not mark.exists() and any(folder.exists() for folder in made):
        raise FileExistsError(f"expected a folder that is empty or has an earlier book in it, given {out}")
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    mark.touch()


def everything() -> dict[str, str | Path]:
    """Every page by its place, and every file that is copied."""
    with_kernels = kernels_enabled()
    deepnp.use_kernels(False)  # the plain forms are what the pages show
    try:
        return _everything()
    finally:
        deepnp.use_kernels(with_kernels)


def _everything() -> dict[str, str | Path]:
    found = find()
    page_of = {file: _page_of(file) for file in guides()}
    own = {operations.file_of(name): operations.page_of(name) for name in found}
    own |= {algorithms.file_of(name): algorithms.page_of(name) for name in algorithms.rl.ALGORITHMS}
    own |= {f"deepnp/optim/{module}.py": optimizers.page_of(module) for module in optimizers.MODULES}
    folders = {"deepnp/losses": "losses/index.md", "deepnp/optim": "optimizers/index.md", "README.md": "index.md"}
    links = Links(page_of | own | folders, algorithms.anchors())
    pages: dict[str, str | Path] = {"index.md": (HERE / "home.md").read_text(), **{name: HERE / name for name in ASSETS}}
    sources = Links({**links.pages, **{file: f"source/{file}.md" for file in own}}, links.anchors)
    pages |= operations.pages(found, sources)
    pages |= losses.pages(links)
    pages |= optimizers.pages(sources)
    pages |= algorithms.pages(links)
    pages |= reference.pages() | contents.pages(links)
    pages |= {reference.page_of(module): contents.layer_family(module) for module in reference.modules("layers")}
    for file, page in page_of.items():
        if page not in pages:
            pages[page] = links.rewritten((ROOT / file).read_text(), file, page)
    links.shown |= set(own)
    return pages | _sources(links)


def _page_of(guide: str) -> str:
    """The page of a guide: those of algorithms and of results have folders of their own."""
    path = Path(guide)
    if guide in _INDEXES:
        return _INDEXES[guide]
    if path.parent.name == "algorithms":
        return algorithms.family_page(path.stem)
    return f"results/{path.name}" if path.parent.name == "results" else f"guides/{path.name}"


def _sources(links: Links) -> dict[str, str | Path]:
    """Pages that show files, until no page leads to a file that has none; and pictures."""
    pages: dict[str, str | Path] = {}
    while missing := sorted(links.shown - pages.keys()):
        for file in missing:
            picture = Path(file).suffix in (".png", ".gif", ".svg")
            pages[file] = ROOT / file if picture else shown(file, links)
    return {(f"files/{file}" if isinstance(text, Path) else f"source/{file}.md"): text for file, text in pages.items()}


def configuration(pages: Path, html: Path) -> MkDocsConfig:
    """What MkDocs is told: no font, script or picture comes from another place, and pages open from files."""
    config = MkDocsConfig()
    config.load_dict(
        dict(
            site_name="The book of derivatives",
            docs_dir=str(pages),
            site_dir=str(html),
            theme={
                "name": "material",
                "font": False,
                "features": ["navigation.indexes", "navigation.top", "navigation.footer", "search.suggest", "content.code.copy"],
                "palette": [
                    {
                        "media": "(prefers-color-scheme: light)",
                        "scheme": "default",
                        "primary": "indigo",
                        "toggle": {"icon": "material/weather-night", "name": "Dark"},
                    },
                    {
                        "media": "(prefers-color-scheme: dark)",
                        "scheme": "slate",
                        "primary": "indigo",
                        "toggle": {"icon": "material/weather-sunny", "name": "Light"},
                    },
                ],
            },
            extra_css=["style.css"],
            extra_javascript=["ties.js"],
            extra={"generator": False, "polyfills": ["iframe-worker.js"]},
            nav=navigation(),
            plugins=[
                "search",
                "offline",
                {"mkdocstrings": {"handlers": {"python": reference.HANDLER}}},
            ],
            markdown_extensions=[
                "attr_list",
                "md_in_html",
                "tables",
                "pymdownx.highlight",
                "pymdownx.superfences",
                {"toc": {"slugify": slug, "permalink": False}},
            ],
            validation={"nav": {"omitted_files": "ignore"}, "links": {"anchors": "warn", "absolute_links": "warn"}},
            strict=True,
        )
    )
    errors, warnings = config.validate()
    if errors or warnings:
        raise ValueError(f"MkDocs refuses its configuration: {errors} {warnings}")
    config.plugins.on_startup(command="build", dirty=False)
    return config


def navigation() -> list:
    """The menu."""
    found = find()
    sections = operations.reading_order((ROOT / "docs" / "derivations.md").read_text())
    book = [
        {title: [operations.page_of(name) for name, _ in entries if name in found]}
        for title, entries in sections
        if any(name in found for name, _ in entries)
    ]
    elsewhere = {"guides/index.md", "guides/derivations.md", "guides/environments.md"}
    read = [page for page in map(_page_of, guides()) if page.startswith("guides/") and page not in elsewhere]
    measured = dict.fromkeys(re.findall(r"\]\((results/\w+\.md)\)", (ROOT / "docs" / "results.md").read_text()))
    return [
        "index.md",
        contents.CONTENTS,
        {"Operations": ["guides/derivations.md", *book]},
        {"Losses": ["losses/index.md", *map(losses.page_of, losses.find())]},
        {"Optimizers": ["optimizers/index.md", *map(optimizers.page_of, optimizers.MODULES)]},
        {"Algorithms": ["algorithms/index.md", *algorithms.navigation()]},
        {"Environments": [contents.GALLERY, "guides/environments.md"]},
        {"Results": ["results/index.md", *measured]},
        {"Guides": ["guides/index.md", *read]},
        {"Reference": reference.navigation()},
    ]
