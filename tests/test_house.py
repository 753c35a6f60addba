"""The house stays as it was drawn: imports point one way, files stay short, importing is light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(p for folder in ("jit", "deepnp", "rl", "envs", "examples", "benchmarks") for p in (ROOT / folder).rglob("*.py"))
COMMAND_LINE = ROOT / "rl" / "cli"
ALLOWED = {
    "jit": {"jit"},
    "deepnp": {"deepnp", "jit"},
    "envs": {"envs", "jit"},
    "rl": {"rl", "deepnp"},
    "examples": {"examples", "rl", "deepnp", "envs"},
    "benchmarks": {"benchmarks", "examples", "rl", "deepnp", "envs"},
}
HOUSE = set(ALLOWED)
# The floors of rl, from the lowest: a file imports from its own floor and from those below.
GROUND = {"rl.config", "rl.guards", "rl.interruption", "rl.names", "rl.schedules", "rl.state"}
FLOORS = [GROUND, {"rl.losses"}, {"rl.experience"}, {"rl.networks", "rl.solvers", "rl.takes"}]
FLOORS += [
    {"rl.loops", "rl.prediction", "rl.exercises", "rl.exercises_gae"},
    {"rl.checkpoint"},
    {"rl.runs"},
    {"rl.agent", "rl.learning"},
    {"rl.algorithms"},
]
FLOORS += [{"rl.training"}, {"rl.cluster"}, {"rl.cli"}, {"rl"}]


def imports(path: Path) -> set[str]:
    """Modules of the house that a file imports, also those inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] in HOUSE}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_arrows_point_one_way(path):
    top = path.relative_to(ROOT).parts[0]
    names = imports(path)
    allowed = ALLOWED[top] | ({"envs"} if path.is_relative_to(COMMAND_LINE) else set())  # which registers them
    outside = {name for name in names if name.split(".")[0] not in allowed}
    assert not outside
    inner = path.relative_to(ROOT).parts[1]
    if top == "deepnp" and inner == "ops":
        assert not {n for n in names if n.startswith(("deepnp.layers", "deepnp.module", "deepnp.models"))}


def floor_of(name: str) -> int:
    """The floor of rl that a module, or a name in it, stands on."""
    part = ".".join(name.split(".")[:2])
    return next(i for i, floor in enumerate(FLOORS) if part in floor or i == len(FLOORS) - 1)


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "rl")], ids=module_name)
def test_arrows_in_rl_point_down(path):
    own = floor_of(module_name(path))
    above = {n for n in imports(path) if n.startswith("rl.") and floor_of(n) > own}
    assert not above


def test_no_import_cycles():
    names = {module_name(p): p for p in SOURCES}
    graph = {name: {i for i in imports(path) if i in names and i != name} for name, path in names.items()}
    for package in [n for n, p in names.items() if p.name == "__init__.py"]:
        for name, targets in graph.items():  # importing a package's part runs the package too; that alone is no cycle
            if name.startswith(package + "."):
                targets.discard(package)
    done: set[str] = set()

    def visit(name, trail):
        assert name not in trail, " → ".join([*trail, name])
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, [*trail, name])
            done.add(name)

    for name in graph:
        visit(name, [])


@pytest.mark.parametrize("path", SOURCES + sorted((ROOT / "tests").rglob("*.py")), ids=module_name)
def test_no_file_is_over_400_lines(path):
    assert path.read_text().count("\n") <= 400


def test_every_package_is_listed_in_setup_cfg():
    listed = (ROOT / "setup.cfg").read_text().split()
    installed = [p for p in SOURCES if p.relative_to(ROOT).parts[0] in ("jit", "deepnp", "rl", "envs")]
    folders = {".".join(p.parent.relative_to(ROOT).parts) for p in installed}
    assert folders <= set(listed), "add these to `packages` in setup.cfg"
    assert all((ROOT / folder.replace(".", "/") / "__init__.py").exists() for folder in folders)


def test_importing_is_light():
    code = "import sys, deepnp, rl; print([m for m in ('numba', 'matplotlib', 'mujoco', 'torch', 'PIL') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"


def test_nothing_is_pickled():
    for path in set(SOURCES) - {ROOT / "jit" / "cache.py"}:  # Numba's machine code is
        names = {a.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import) for a in node.names}
        assert "pickle" not in names, path


def test_the_index_of_derivations_names_every_operation_and_its_links_work():
    page = (ROOT / "docs" / "derivations.md").read_text()
    links = set(re.findall(r"\]\((?:\.\./)?([^)#]+)\)", page))
    operations = {str(p.relative_to(ROOT)) for p in (ROOT / "deepnp" / "ops").rglob("*.py") if p.name != "__init__.py"}
    assert operations <= links
    assert all((ROOT / link).exists() or (ROOT / "docs" / link).exists() for link in links)
