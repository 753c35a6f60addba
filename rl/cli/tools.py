"""`deepnp gradcheck`, `deepnp bench` and `deepnp book`: what reads its arguments itself."""

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import rl
from deepnp import gradcheck
from rl.cli.boxes import in_one_line
from rl.cli.dispatch import Raw
from rl.cli.terminal import columns, say
from rl.cli.usage import Usage, did_you_mean

ROOT = Path(rl.__file__).resolve().parents[1]
BENCHMARKS, SITE = ROOT / "benchmarks", ROOT / "docs" / "site"
WIDEST_TITLE = 60


def _gradcheck(arguments: list[str]) -> None:
    with in_one_line("deepnp gradcheck"):
        gradcheck.main(arguments, "deepnp gradcheck")


def bench(arguments: list[str], folder: Path = BENCHMARKS) -> int | None:
    """List the benchmarks of a clone, or run one with its own arguments; returns its exit code."""
    ours = (folder.parent / "setup.cfg").is_file()  # beside an installed package, "benchmarks" is somebody else's
    files = {path.stem: path for path in sorted(folder.glob("*.py")) if _is_a_benchmark(path)}
    if not ours or not files:
        raise FileNotFoundError(f"expected benchmarks in {folder}: they come with the source, git clone, and not with the package")
    if not arguments or arguments[0] in ("-h", "--help"):
        say("Measure speed and learning: deepnp bench NAME [its own options]\n")
        say(columns([(name, _title(path)) for name, path in files.items()]))
        return None
    name, *others = arguments
    if name not in files:
        raise Usage(f"expected a benchmark: {', '.join(files)}; given {name!r}{did_you_mean(name, files)}")
    return _run(folder.parent, f"{folder.name}.{name}", others)


def book(arguments: list[str], folder: Path = SITE) -> int:
    """Make the web site of a clone, with the site's own arguments; returns its exit code."""
    root = folder.parents[1]
    if not (root / "setup.cfg").is_file() or not (folder / "__main__.py").is_file():
        raise FileNotFoundError(f"expected the site in {folder}: it comes with the source, git clone, and not with the package")
    return _run(root, f"{folder.parent.name}.{folder.name}", arguments)


def _run(root: Path, module: str, arguments: list[str]) -> int:
    """Run a module of a clone in a process of its own."""
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, "-m", module, *arguments], env=environment, check=False).returncode


def _is_a_benchmark(path: Path) -> bool:
    """Whether it is run by people: a peer's part is run by a benchmark, in the peer's interpreter."""
    return not path.stem.startswith("peer_") and "__main__" in path.read_text(encoding="utf-8")


def _title(path: Path) -> str:
    """What a benchmark's file says first."""
    line = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    return textwrap.shorten(line.partition("   ")[0], WIDEST_TITLE, placeholder=" …")


GRADCHECK, BENCH, BOOK = Raw(_gradcheck), Raw(bench), Raw(book)
