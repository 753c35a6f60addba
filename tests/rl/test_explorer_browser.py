"""The page about a run as Chromium shows it, from a file: pointer, scheme, phone, no scripts, axe."""

import pytest

from rl.training.explorer import explore
from tests.rl.test_explorer import record, table


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = record(tmp_path_factory.mktemp("explorer"))
    table(folder / "progress.csv", steps=[10, 20, 30], seconds=[1, 2, 3], episode_return=[1, 2, 4], kl=[0.1, 0.2, 0.1])
    table(folder / "insides.csv", **{"steps": [10, 20, 30], "gradient/policy/0": [1, 2, 3], "gradient/policy/2": [1, 1, 1]})
    return explore(folder).as_uri()


@pytest.fixture
def visit(chromium, address):
    contexts, complaints = [], []

    def opened(width=1280, **options):
        context = chromium.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda message: complaints.append(message.text))
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("request", lambda request: complaints.append(request.url) if request.url != address else None)
        shown.goto(address)
        return shown

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def test_the_numbers_under_the_pointer(visit):
    shown = visit()
    curve = shown.locator("svg[data-lines]").first
    box = curve.bounding_box()
    shown.mouse.move(box["x"] + box["width"] * 0.96, box["y"] + box["height"] / 2)
    assert shown.locator(".readout").first.inner_text() == "step 30: 4"
    layers = shown.locator("svg[data-lines]", has=shown.locator(".l1")).first
    layers.hover()
    assert "step 20: 0 2, 2 1" in shown.locator(".readout").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(visit, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason='axe needs pip install -e ".[docs]"')
    results = axe.Axe().run(visit(color_scheme=scheme), options={"runOnly": ["wcag2a", "wcag2aa", "best-practice"]})
    assert results.violations_count == 0, results.generate_report()


def test_a_phone_does_not_scroll_sideways(visit):
    shown = visit(width=320)
    assert shown.evaluate("document.documentElement.scrollWidth") <= 320


def test_without_scripts_the_numbers_are_in_tables(visit):
    shown = visit(java_script_enabled=False)
    shown.locator("summary", has_text="Numbers").first.click()
    assert "30" in shown.locator(".table").first.inner_text()
