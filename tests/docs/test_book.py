"""The site: every part of the library has its page, and the pages work in a browser."""

import functools
import html
import http.server
import os
import pkgutil
import re
import threading

import pytest

import deepnp
import envs
import rl
from deepnp.ops import find
from docs.site import algorithms, contents, half_pages, links, losses, operations, optimizers, reference
from docs.site.links import ROOT


def test_every_operation_stands_in_the_reading_order():
    order = operations.reading_order((ROOT / "docs" / "derivations.md").read_text())
    assert {name for _, entries in order for name, _ in entries} == set(find())


def test_every_algorithm_has_its_half_page():
    for family, names in algorithms.families().items():
        guide = algorithms.guide_of(family)
        _, halves = half_pages.split((ROOT / guide).read_text(), names, guide)
        assert all(half_pages.facts(half) for half in halves.values()), guide


@pytest.mark.parametrize("package", [deepnp.layers, deepnp.losses, deepnp.optim], ids=lambda p: p.__name__)
def test_every_layer_loss_and_optimizer_is_in_the_reference(package):
    listed = reference.pages()
    homes = {getattr(package, name).__module__ for name in package.__all__ if hasattr(getattr(package, name), "__module__")}
    assert not [home for home in homes if home.startswith(package.__name__) and reference.page_of(home) not in listed]


def test_every_loss_with_a_gradient_has_its_page():
    public = {name for name in deepnp.losses.__all__ if name != "CASES"}
    assert public <= set(losses.find())


def test_the_list_of_everything_is_complete():
    listed = set(re.findall(r"\]\(([^)]+)\)", contents.contents()))
    expected = {operations.page_of(name) for name in find()} | {losses.page_of(name) for name in losses.find()}
    expected |= {algorithms.page_of(name) for name in rl.ALGORITHMS}
    expected |= {optimizers.page_of(info.name) for info in pkgutil.iter_modules(deepnp.optim.__path__)}
    expected |= {reference.page_of(f"deepnp.layers.{info.name}") for info in pkgutil.iter_modules(deepnp.layers.__path__)}
    assert expected <= listed


def test_layers_name_the_operations_that_they_are_built_on():
    assert contents.built_on("deepnp.layers.linear") == {"Linear": ["linear"]}
    assert contents.built_on("deepnp.layers.activation")["Tanh"] == ["activation.tanh"]


def test_the_gallery_shows_every_picture_of_an_environment():
    shown = {file for _, file, _ in contents.pictures()}
    there = {f"docs/images/envs/{p.name}" for p in (ROOT / "docs" / "images" / "envs").glob("*.gif")}
    assert there <= shown


def test_every_environment_is_in_the_gallery():
    shown = {title for title, _, _ in contents.pictures()}
    own = {name.removesuffix("-v0") for name in {**envs.BODIES, **envs.GAMES} if name.endswith("-v0")}
    assert own - set(envs.CLASSIC) - {"DynaMaze"} <= shown  # the classic tasks share a picture; the maze is a table of letters
    assert "docs/images/envs/pixels.png" in {file for _, file, _ in contents.pictures()}


def test_every_erratum_of_an_operation_is_printed():
    printed = (ROOT / "docs" / "errata.md").read_text()
    assert set(operations.ERRATA) <= set(find())
    assert all(f"`{test}`" in printed for tests in operations.ERRATA.values() for test in tests)


def test_links_of_a_guide_lead_to_pages():
    pages = {"docs/a.md": "guides/a.md", "deepnp/ops/linear.py": "operations/linear.md"}
    known = links.Links(pages, {"docs/algorithms/ac.md#sac": "algorithms/sac.md"})
    text = "[a](a.md#b) [l](../deepnp/ops/linear.py) [s](algorithms/ac.md#sac) [f](../rl/agent.py) [w](https://example.org)"
    expected = (
        "[a](a.md#b) [l](../operations/linear.md) [s](../algorithms/sac.md) [f](../source/rl/agent.py.md) [w](https://example.org)"
    )
    assert known.rewritten(text, "docs/b.md", "guides/b.md") == expected
    assert known.shown == {"rl/agent.py"}


def test_a_part_of_a_guide_that_became_a_page_leads_back_to_the_rest():
    known = links.Links({"docs/a.md": "algorithms/index.md"}, {"docs/a.md#sac": "algorithms/sac.md"})
    rewritten = known.rewritten("[t](#tables) [s](#sac)", "docs/a.md", "algorithms/td3.md")
    assert rewritten == "[t](index.md#tables) [s](sac.md)"


def test_links_of_a_page_are_found():
    text = '<a class="x" href="a.html#b">a</a> <img src="../b&amp;c.png"> <a href="https://example.org/d">d</a> <a href="#e">e</a>'
    assert links_of(text) == {"a.html", "../b&c.png"}


def test_a_notebook_is_shown_as_its_cells_without_pictures():
    page = links.shown("examples/first_agent.ipynb", links.Links({}, {}))
    assert page.startswith("# ")
    assert "```python\n" in page
    assert max(map(len, page.split())) < 200


def test_code_is_not_rewritten():
    text = "```python\nx[0](a.md)\n```"
    assert links.Links({}, {}).rewritten(text, "docs/b.md", "guides/b.md") == text


LINK = re.compile(r'\s(?:href|src)="?([^">\s#?]+)')  # up to its anchor


def links_of(text: str) -> set[str]:
    """The files that a page leads to or shows, those of other servers left out."""
    return {html.unescape(link) for link in LINK.findall(text) if ":" not in link}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, made once: of several processes that run tests, one makes it for all."""
    pytest.importorskip("material", reason='the site needs pip install -e ".[docs]"')
    pytest.importorskip("mkdocstrings", reason='the site needs pip install -e ".[docs]"')
    filelock = pytest.importorskip("filelock", reason='the site needs pip install -e ".[docs]"')
    from docs.site.book import build

    own = tmp_path_factory.getbasetemp()
    out = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "book"
    with filelock.FileLock(f"{out}.lock"):
        if not (out / "made").exists():
            build(out)
            (out / "made").touch()
    return out / "html"


@pytest.fixture(scope="module")
def server(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(chromium, site):
    """Opens a page from its file; afterwards, no page has said anything on the console or asked for what is not the site's."""
    contexts, complaints = [], []

    def opened(path, width=1280, scheme="light", address=None):
        address = address or f"{site.as_uri()}/"
        context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None)
        page.goto(f"{address}{path}.html")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


PLACES = [
    *("index", "contents", "gallery", "guides/derivations", "results/speed", "guides/environments", "guides/parameters"),
    *("operations/normalization/layer_norm", "operations/recurrent/lstm", "losses/quantile_loss", "optimizers/muon"),
    *("algorithms/index", "algorithms/tabular/index", "algorithms/sac"),
    *("reference/deepnp.layers.attention", "reference/deepnp.gradcheck"),
]
AXE = ["index", "gallery", "operations/normalization/layer_norm", "losses/cross_entropy", "optimizers/adam", "algorithms/sac"]


def test_every_page_is_made_and_every_link_leads_somewhere(site):
    pages = sorted(site.rglob("*.html"))
    made = {str(p.relative_to(site).with_suffix("")) for p in pages}
    assert {operations.page_of(name).removesuffix(".md") for name in find()} <= made
    assert {algorithms.page_of(name).removesuffix(".md") for name in rl.ALGORITHMS} <= made
    listed = re.findall(r"\]\(([^)]+)\.md\)", contents.contents())
    assert set(listed) <= made
    lost = []
    for page in pages:
        if page.name == "404.html":
            continue
        lost += [(str(page.relative_to(site)), link) for link in links_of(page.read_text()) if not (page.parent / link).exists()]
    assert not lost


@pytest.mark.parametrize("place", PLACES)
def test_a_phone_needs_no_scrolling_to_the_side(visit, place):
    page = visit(place, width=390)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_mathematics_is_typeset(visit):
    page = visit("operations/normalization/layer_norm")
    assert page.locator("math").count() > 15
    index, letter = page.locator("msub mi").nth(1).bounding_box(), page.locator("math mi").first.bounding_box()
    assert index["height"] < letter["height"]  # the browser knows MathML


@pytest.mark.parametrize("served", [False, True], ids=["file", "server"])
def test_search_finds_layer_norm(visit, server, served):
    page = visit("index", address=server) if served else visit("index")
    page.locator("input.md-search__input").click()
    page.locator(".md-search-result__meta", has_text="Type to start searching").wait_for(timeout=60_000)  # the index is read
    page.keyboard.type("layer norm")
    page.locator("a.md-search-result__link[href*='normalization/layer_norm']").first.wait_for(timeout=20_000)


def test_a_line_of_backward_lights_up_with_those_of_forward(visit):
    page = visit("operations/linear")
    lit = page.locator(".pair .tied")
    assert lit.count() == 0
    page.locator(".pair [data-ties]").first.hover()
    texts = lit.all_inner_texts()
    assert any("y = x @ weight.T" in text for text in texts)
    assert any("dweight" in text for text in texts)
    page.mouse.move(0, 0)
    assert lit.count() == 0


def test_a_line_of_forward_lights_up_with_those_of_backward(visit):
    page = visit("operations/linear")
    page.locator(".pair .line", has_text="y = x @ weight.T").hover()
    assert any("dy @ cache.weight" in text for text in page.locator(".pair .tied").all_inner_texts())


def test_a_number_before_a_line_is_reached_by_keyboard(visit):
    page = visit("operations/linear")
    page.locator(".pair button").last.focus()
    number = page.locator("a:focus")
    for _ in range(3):
        if not number.count():
            page.keyboard.press("Tab")
    assert number.get_attribute("aria-label") == "differentiates line 5 of forward"
    assert page.locator(".pair .tied").count() >= 2
    page.keyboard.press("Enter")
    assert page.url.endswith("#forward-5")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reader_s_scheme_is_followed(visit, scheme):
    page = visit("operations/linear", scheme=scheme)
    assert page.locator("body").get_attribute("data-md-color-scheme") == {"light": "default", "dark": "slate"}[scheme]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", AXE)
def test_axe_finds_no_fault(visit, place, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason='axe needs pip install -e ".[docs]"')
    results = axe.Axe().run(visit(place, scheme=scheme), options={"runOnly": ["wcag2a", "wcag2aa"], "preload": False})
    faults = {v["id"]: [node["html"][:150] for node in v["nodes"]][:3] for v in results.response["violations"]}
    assert not faults
