"""Every block of code in README and docs works: Python runs, page by page and in order; commands are parsed by the programs.

A comment before a block says otherwise:

    <!-- not run: needs Ray -->              compiled only, and its imports are looked up
    <!-- not run: takes two minutes -->      the same, unless RUN_SLOW_BLOCKS=1
    <!-- warns: begins new episodes -->      runs, and warns of that
    <!-- run -->                             the commands of this block are run, not only parsed
    <!-- train -->  <!-- test -->            .ci/run runs these
"""

import argparse
import ast
import importlib
import logging
import os
import re
import runpy
import shlex
import sys
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import NamedTuple

import matplotlib
import pytest

import deepnp
from docs.site.links import guides
from rl import cli
from rl.cli.dispatch import Group, Raw
from rl.cli.dispatch import tyro as parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / file for file in ("README.md", *guides())]
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]+?) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
INDENTED = re.compile(r"^    (?:\$ )?((?:\.venv/bin/)?(?:python3?|deepnp) .+)$", re.M)
PROGRAMS = {"pip", "source", "ray", "git", "ruff", "mypy", "tensorboard", "wandb", "pre-commit", "eval"}  # not ours to parse
HOUSE = {"deepnp", "rl", "envs", "jit"}


class Block(NamedTuple):
    page: Path
    line: int
    mark: str
    language: str
    code: str

    @property
    def runs(self) -> bool:
        slow = self.mark.startswith("not run: takes") and os.environ.get("RUN_SLOW_BLOCKS") == "1"
        return slow or not self.mark.startswith("not run")


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page, text[: found.start("code")].count("\n"), found["mark"] or "", found["language"], found["code"])
        for found in BLOCK.finditer(text)
    ]


def commands_of(text: str) -> list[list[str]]:
    """The words of each command in lines of a shell, without prompts, comments and variables."""
    commands = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words:
            command = words[: words.index("&&")] if "&&" in words else words
            words = words[len(command) + 1 :]
            command = [word for i, word in enumerate(command) if not re.fullmatch(r"[A-Z_]+=.*", word) or i > 0]
            commands += [command] if command else []
    return commands


def is_excerpt(code: str) -> bool:
    """Whether a block is the beginning of a docstring, which a test compares with its file."""
    return code.count('"""') == 1


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A folder to work in; what a page sets for the whole process is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["page"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    root, logger = logging.getLogger(), logging.getLogger("deepnp")
    handlers, levels = list(root.handlers), (root.level, logger.level)
    threads, backend = deepnp.get_num_threads(), matplotlib.rcParams._get("backend")
    yield tmp_path
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]  # what the page wrote and imported
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    logger.setLevel(levels[1])
    deepnp.set_num_threads(threads)
    deepnp.use_kernels(True)
    assert matplotlib.rcParams._get("backend") == backend


def warned(mark: str):
    """Asks for the warning that a mark names."""
    kind, _, text = mark.partition(": ")
    return pytest.warns(UserWarning, match=re.escape(text)) if kind == "warns" else nullcontext()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_and_marked_commands_run(page, scratch):
    namespace = {"__name__": page.stem}
    for block in blocks_of(page):
        if block.language == "python" and block.runs and not is_excerpt(block.code):
            with warned(block.mark):
                exec(compile("\n" * block.line + block.code, str(page), "exec"), namespace)
        elif block.language == "bash" and block.mark == "run":
            for program, *arguments in commands_of(block.code):
                assert program == "deepnp", f"{page}:{block.line}: only deepnp's own commands are run"
                assert cli.main(arguments) == 0, f"{page}:{block.line}: {arguments}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_python_imports_exists(page):
    for block in blocks_of(page):
        if block.language != "python" or is_excerpt(block.code):
            continue
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in HOUSE:
                if "Ray" in block.mark:
                    pytest.importorskip("ray")
                module = importlib.import_module(node.module)
                missing = [alias.name for alias in node.names if not exists(module, alias.name)]
                assert not missing, f"{page.name}:{block.line}: {node.module} has no {missing}"


def exists(module, name: str) -> bool:
    return hasattr(module, name) or importlib.util.find_spec(f"{module.__name__}.{name}") is not None


def test_languages_and_marks_are_known():
    for block in (block for page in PAGES for block in blocks_of(page)):
        place = f"{block.page.name}:{block.line}"
        assert block.language in ("", "python", "bash", "text", "markdown", "toml", "json", "csv"), place
        assert re.fullmatch(r"((not run|warns): .+|run|train|test)?", block.mark) or not block.mark.startswith(
            ("not", "run", "warn")
        ), place


class Parsed(Exception):
    """Raised in the place of running, once the arguments are understood."""


def parse_script(words: list[str], monkeypatch) -> None:
    """Parse the arguments of `python FILE …` and `python -m MODULE …` by the script's own argparse."""
    parse = argparse.ArgumentParser.parse_args

    def parse_only(self, *arguments, **keywords):
        parse(self, *arguments, **keywords)
        raise Parsed

    module = words[1] == "-m"
    target, arguments = (words[2], words[3:]) if module else (words[1], words[2:])
    if module and target == "pytest":
        for path in (word.partition("::")[0] for word in arguments if word.startswith("tests")):
            assert (ROOT / path).exists(), path
        return
    if module and target == "venv":
        return
    places = (
        [ROOT / target]
        if not module
        else [ROOT / target.replace(".", "/") / "__main__.py", ROOT / (target.replace(".", "/") + ".py")]
    )
    file = next(path for path in places if path.exists())
    assert re.search(r"parse|learn\(GAME", file.read_text()), f"{file} would be run"  # games.learn parses
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    monkeypatch.setattr(sys, "argv", [str(file), *arguments])
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    with pytest.raises(Parsed):
        runpy.run_path(str(file), run_name="__main__")


def parse_deepnp(arguments: list[str], monkeypatch) -> None:
    """Parse a command line of ours by the real parser, which then calls nothing."""
    original = parser.cli

    def parse_only(command, **options):
        def nothing(*arguments, **keywords):
            return lambda: None

        return original(wraps(command)(nothing), **options)

    from rl.cli.commands import TOP

    command = TOP.members[TOP.find(arguments[0])].load() if TOP.find(arguments[0]) else TOP
    if isinstance(command, Raw):
        return
    if not isinstance(command, Group) or not {"-h", "--help"} & set(arguments):
        monkeypatch.setattr(parser, "cli", parse_only)
    assert cli.main(arguments) == 0, arguments


def command_lines() -> list[tuple[str, list[str]]]:
    """Where each command of a page stands, and its words."""
    found = []
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "tests" / "README.md"]:
        place = page.relative_to(ROOT)
        shells = [(block.line, block.code) for block in blocks_of(page) if block.language == "bash"]
        text = BLOCK.sub(lambda block: re.sub(r"[^\n]", "", block[0]), page.read_text())
        shells += [(text[: line.start()].count("\n"), line[1]) for line in INDENTED.finditer(text)]
        found += [(f"{place}:{line + 1} {shlex.join(words)[:60]}", words) for line, code in shells for words in commands_of(code)]
    return found


@pytest.mark.parametrize("words", [pytest.param(words, id=place) for place, words in command_lines()])
def test_commands_are_understood(words, monkeypatch, scratch, capsys):
    program = words[0].removeprefix(".venv/bin/")
    if "benchmarks.mutants" in words:
        pytest.importorskip("cosmic_ray", reason="pip install .[mutants]")
    if program in ("python", "python3"):
        parse_script(words, monkeypatch)
    elif program == "deepnp":
        parse_deepnp(words[1:], monkeypatch)
    else:
        assert program in PROGRAMS, words
