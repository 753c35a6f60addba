"""The documentation says what the code says: the table of algorithms, the settings, links, and what functions return."""

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Self

import pytest

import deepnp
import rl
from docs.site.algorithms import guide_of
from docs.site.links import guides
from rl.algorithms.replay_config import ReplayConfig

ROOT = Path(__file__).resolve().parents[1]
GUIDES = [ROOT / file for file in guides()]
PAGES = sorted([*ROOT.glob("*.md"), *GUIDES, *(ROOT / "tests").glob("*.md")])
SOURCES = sorted(p for folder in ("jit", "deepnp", "rl", "envs") for p in (ROOT / folder).rglob("*.py"))
ALGORITHMS = list(rl.ALGORITHMS.values())


def row(algorithm) -> str:
    """The line of an algorithm in docs/algorithms.md."""
    takes = algorithm.takes
    actions = ", ".join(takes.actions) + (" with finite bounds" if takes.bounded else "")
    observations = (
        "choices alone"
        if takes.tables
        else "all" + ("" if takes.images else " but images") + (", and goals" if takes.goals else "")
    )
    code = algorithm.cls.__module__.removeprefix("rl.algorithms.").replace(".", "/") + ".py"
    half = f"{guide_of(algorithm.family).removeprefix('docs/')}#{algorithm.name.lower()}"
    policy = "on-policy" if takes.on_policy else "off-policy"
    named = f"[`{algorithm.name}`]({half})", f"[{code}](../rl/algorithms/{code})"
    cells = *named, algorithm.paper, policy, actions, observations
    return "| " + " | ".join(cells) + " |"


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_the_table_of_algorithms_has_its_row(algorithm):
    lines = (ROOT / "docs" / "algorithms.md").read_text().splitlines()
    assert row(algorithm) in lines, f"docs/algorithms.md lacks the line\n{row(algorithm)}"


def test_the_table_of_algorithms_has_no_other_rows_and_the_order_of_the_list():
    lines = (ROOT / "docs" / "algorithms.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("| [`")] == [row(algorithm) for algorithm in ALGORITHMS]


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_every_algorithm_has_its_half_a_page(algorithm):
    page = guide_of(algorithm.family)
    section = re.search(rf"^## {algorithm.name}$(.*?)(?=^## |\Z)", (ROOT / page).read_text(), flags=re.M | re.S)
    assert section, f"{page} lacks a section on {algorithm.name}"
    assert not [word for word in ("**Facts.**", "**Equations.**", "```text", "**Deviations.**") if word not in section[1]]


def test_every_paper_of_an_algorithm_is_cited():
    cited = (ROOT / "docs" / "references.md").read_text()
    missing = [a.paper for a in ALGORITHMS if f"| {a.paper.partition(', ch.')[0]} |" not in cited]
    assert not missing, f"docs/references.md lacks rows for {missing}"


def settings_of(algorithm) -> set[str]:
    """Settings and defaults in docs/settings.md, from the sections whose titles name the algorithm or its kind.

    What the algorithm's own section says of a setting counts.
    """
    replays = issubclass(algorithm.config, ReplayConfig)
    kind = "table" if algorithm.takes.tables else "on-policy" if algorithm.takes.on_policy else "off-policy" if replays else None
    shared: dict[str, str] = {}
    own: dict[str, str] = {}
    for section in re.split(r"^## ", (ROOT / "docs" / "settings.md").read_text(), flags=re.M)[1:]:
        title = set(re.findall(r"[\w-]+", section.partition("\n")[0]))
        rows = {row.partition("=")[0]: row for row in re.findall(r"^\| `([^`]+)` \|", section, flags=re.M)}
        if algorithm.name in title:
            own |= rows
        elif kind in title:
            shared |= rows
    return set((shared | own).values())


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_every_setting_is_compared_with_others(algorithm):
    expected = {f"{f.name}={f.default!r}".replace("'", '"') for f in fields(algorithm.config)}
    given = settings_of(algorithm)
    assert not expected - given, f"docs/settings.md lacks rows for {sorted(expected - given)}"
    assert not given - expected, f"docs/settings.md has rows that the code has not: {sorted(given - expected)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        path, _, place = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if place:
            assert place in anchors(target), link


def anchors(page: Path) -> set[str]:
    """What can be linked to on a page: its titles, as GitHub spells them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [ROOT / "README.md", *GUIDES], ids=lambda p: str(p.relative_to(ROOT)))
def test_code_on_the_pages_is_python_and_imports_what_there_is(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.S):
        tree = ast.parse(block if block.count('"""') != 1 else block + '"""')
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in ("deepnp", "rl"):
                module = deepnp if node.module == "deepnp" else rl
                assert all(hasattr(module, alias.name) for alias in node.names)


def test_the_readme_shows_the_beginning_of_a_file_as_it_is():
    block = re.search(r'```python\n(""".*?)```', (ROOT / "README.md").read_text(), flags=re.S).group(1)
    assert (ROOT / "deepnp" / "ops" / "normalization" / "layer_norm.py").read_text().startswith(block)


def test_the_readme_says_how_many_algorithms_there_are():
    (count,) = re.findall(r"^(\d+) algorithms,", (ROOT / "README.md").read_text(), flags=re.M)
    assert int(count) == len(rl.ALGORITHMS)


def public_functions(tree, inside: str = ""):
    """Functions and methods whose names, and whose classes' names, have no leading underscore."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{inside}{node.name}", node


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_public_function_says_what_it_returns(path):
    functions = public_functions(ast.parse(path.read_text()))
    assert not [name for name, node in functions if node.returns is None]


def test_an_agent_of_a_class_is_typed_as_that_class():
    for method in (rl.Agent.load, rl.Agent.learn, rl.Agent.of_spaces):
        assert inspect.signature(method).return_annotation is Self, method


@pytest.mark.parametrize("package", ["deepnp", "rl", "envs", "jit"])
def test_types_are_installed_with_the_package(package):
    assert (ROOT / package / "py.typed").exists()
    assert f"{package} = py.typed" in (ROOT / "setup.cfg").read_text()


def test_messages_in_troubleshooting_are_those_of_the_code():
    titles = re.findall(r"^### `(.+)`$", (ROOT / "docs" / "troubleshooting.md").read_text(), flags=re.M)
    source = "\n".join(path.read_text() for path in SOURCES)
    assert len(titles) > 15
    assert not [title for title in titles if title not in source]


def test_the_index_names_every_page():
    for index, folder in (("README", ""), ("algorithms", "algorithms/"), ("results", "results/")):
        file = ROOT / "docs" / f"{index}.md"
        pages = [f"{folder}{page.name}" for page in (ROOT / "docs" / folder).glob("*.md") if page != file]
        assert pages
        assert not [page for page in pages if f"({page})" not in file.read_text()], file
