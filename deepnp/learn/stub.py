"""The file in which a reader writes: the forward pass as it stands in the library, and an empty backward pass.

What the plain `forward` needs of its page is copied, too. Kernels, and what calls them, are imported.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from deepnp.learn.exercise import ABSENT, Exercise, FunctionExercise, OperationExercise
from deepnp.learn.pages import divide
from deepnp.learn.plain import plain

NUMPY = ("numpy as np", "")  # a reader needs it, whether forward does or not


def stub(exercise: Exercise) -> str:
    """The text of a new exercise file."""
    known = Definitions(exercise.module)
    forward = _operation(known) if isinstance(exercise, OperationExercise) else _value(exercise, known)
    header = _header(exercise)
    empty = _empty(exercise, known)
    return "\n\n\n".join([f"{header}\n\n{_ordered(known.imports)}", *known.copied, *forward, empty]) + "\n"


def _header(exercise: Exercise) -> str:
    told = divide(exercise.text).statement.replace("\\", "\\\\").replace('"""', "'''")
    command = f"python -m deepnp.learn {exercise.short}"
    return f'''"""{told}

Write `{exercise.asked}`, below. Then, in the folder above this one:

    {command}
        is it right?
    {command} --hint
        the first step of the derivation; once more, the next
    {command} --solution
        all of it
"""'''


class Definitions:
    """What stands at the top of a page, by name; and what was taken of it so far."""

    def __init__(self, module: ModuleType):
        self.module, self.source = module, inspect.getsource(module)
        lines = self.source.splitlines()
        self.texts: dict[str, str] = {}
        self.nodes: dict[str, ast.stmt] = {}
        for node in ast.parse(self.source).body:
            text = "\n".join(lines[node.lineno - 1 : node.end_lineno])  # with its last remark
            if isinstance(node, ast.FunctionDef) and not node.decorator_list:
                text = plain(text)
                node = ast.parse(text).body[0]
            for name in _bound(node):
                self.nodes.setdefault(name, node)  # the plain form; `forward = accelerated(forward)` comes later
                self.texts.setdefault(name, text)
        self.imports: list[tuple[str, str]] = [NUMPY]
        self.copied: list[str] = []
        self.done: set[str] = set()
        self.values = {n.id for n in ast.walk(self.nodes["CASES"]) if isinstance(n, ast.Name)} if "CASES" in self.nodes else set()

    def text(self, name: str) -> str:
        """The source of one of them."""
        return self.texts[name]

    def take(self, node: ast.AST) -> None:
        """Import or copy, once, everything that a piece of code names."""
        for name in dict.fromkeys(n.id for n in ast.walk(node) if isinstance(n, ast.Name)):
            if name in self.nodes and name not in self.done:
                self.done.add(name)
                self._take_one(name)

    def _take_one(self, name: str) -> None:
        node = self.nodes[name]
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.append(_import_of(node, name))
        elif name in self.values or self._fast(name, set()):  # an argument must be the library's own
            self.imports.append((self.module.__name__, name))
        else:
            self.done |= set(_bound(node))
            self.take(node)
            self.copied.append(self.text(name))

    def _fast(self, name: str, seen: set[str]) -> bool:
        """Whether a definition is a kernel, or needs one."""
        seen.add(name)
        node = self.nodes[name]
        if isinstance(node, ast.Import | ast.ImportFrom):
            return name in ("gpu", "scan") or "kernel" in name
        decorated = isinstance(node, ast.FunctionDef) and bool(node.decorator_list)
        needed = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & set(self.nodes)
        return decorated or any(self._fast(other, seen) for other in needed - seen)


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a page defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign):
        yield from (n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name))


def _import_of(node: ast.Import | ast.ImportFrom, name: str) -> tuple[str, str]:
    """Where one of the names of an import comes from, and the name; or what to import, and ""."""
    alias = next(a for a in node.names if (a.asname or a.name).split(".")[0] == name)
    text = ast.unparse(alias)
    return (node.module or "", text) if isinstance(node, ast.ImportFrom) else (text, "")


def _ordered(imports: list[tuple[str, str]]) -> str:
    """Import lines in three blocks: Python's, NumPy, the library's."""
    names: dict[str, set[str]] = {}
    for module, name in imports:
        names.setdefault(module, set()).add(name)
    blocks: tuple[list[str], list[str], list[str]] = ([], [], [])
    for module in sorted(names, key=lambda module: (names[module] != {""}, module)):
        top = module.split(" ")[0].split(".")[0]
        line = f"import {module}" if names[module] == {""} else f"from {module} import {', '.join(sorted(names[module]))}"
        blocks[0 if top in sys.stdlib_module_names else 1 if top == "numpy" else 2].append(line)
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _operation(known: Definitions) -> list[str]:
    node = known.nodes["forward"]
    known.done.add("forward")
    known.take(node)
    return [known.text("forward")]


def _value(exercise: Exercise, known: Definitions) -> list[str]:
    """The value of a loss, from the library; nothing for a function that is to be written itself."""
    if isinstance(exercise, FunctionExercise):
        return []
    known.imports.append((exercise.module.__name__, exercise.solution))
    known.done.add(exercise.solution)
    arguments = _arguments(exercise, known)
    passed = ", ".join(f"{a.arg}={a.arg}" for a in [*arguments.args, *arguments.kwonlyargs])
    text = "The value, by the library. Its second result is the gradient, and no part of your answer."
    return [f'def forward({ast.unparse(arguments)}):\n    """{text}"""\n    return {exercise.solution}({passed})[0]']


def _arguments(exercise: Exercise, known: Definitions) -> ast.arguments:
    """Those of the solution, without types and without what chooses rows."""
    node = ast.parse(known.text(exercise.solution)).body[0]
    assert isinstance(node, ast.FunctionDef)
    given = node.args
    for argument in [*given.args, *given.kwonlyargs]:
        argument.annotation = None
    pairs = [(a, d) for a, d in zip(given.kwonlyargs, given.kw_defaults) if a.arg not in ABSENT]
    given.kwonlyargs, given.kw_defaults = [a for a, _ in pairs], [d for _, d in pairs]
    known.take(given)
    return given


def _empty(exercise: Exercise, known: Definitions) -> str:
    if isinstance(exercise, OperationExercise):
        told = (inspect.getdoc(exercise.module.backward) or "").split("\n\n")[0]
    elif isinstance(exercise, FunctionExercise):
        told = f"-> {', '.join(exercise.outputs)}, see above."
    else:
        first = exercise.trial(exercise.cases[0], np.random.default_rng(0))
        told = f"-> {', '.join(first.outputs)}: the gradient of the value, in the shape of what it belongs to."
    arguments = "dy, cache" if isinstance(exercise, OperationExercise) else ast.unparse(_arguments(exercise, known))
    body = f'    """{told}"""\n    raise NotImplementedError("write me")'
    return f"def {exercise.asked}({arguments}):\n{body}"
