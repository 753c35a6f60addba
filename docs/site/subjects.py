"""What has a derivative of its own: an operation, with a function `backward`, or a loss, which returns its gradient."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from deepnp.cases import differentiable, tupled
from deepnp.learn.plain import plain
from docs.site.changes import NO_MATHEMATICS


@dataclass(frozen=True)
class Subject:
    """Something with a derivative that is written by hand.

    Attributes
    ----------
    module : ModuleType
        The file that it stands in.
    text : str
        Its source, without the ways to fast forms.
    entry : str
        The function that computes gradients.
    functions : dict of str to ast.FunctionDef
        The entry and the plain functions of its file that it calls, without checks and without fast forms.
    cases : list of dict
    value : callable
        **arguments -> what is differentiated: an array, or several.
    gradients : callable
        (entry, dy, arguments) -> a gradient for each of the first differentiable arguments.
    sliced : set of ast.AST or None
        What of the entry leads to gradients; None is all of it.
    """

    module: ModuleType
    text: str
    entry: str
    functions: dict[str, ast.FunctionDef]
    cases: list[dict]
    value: Callable[..., Any]
    gradients: Callable[[Callable, Any, dict], tuple]
    sliced: set[ast.AST] | None = None

    def compiled(self, functions: dict[str, ast.FunctionDef]) -> Callable:
        """The entry of these functions, in a copy of the module."""
        names = dict(vars(self.module))
        tree = ast.fix_missing_locations(ast.Module(list(functions.values()), []))
        exec(compile(tree, self.module.__name__, "exec"), names)
        return names[self.entry]


def of_operation(op: ModuleType) -> Subject:
    """An operation: what `backward` returns for a random upstream gradient."""

    def value(**arguments):
        return op.forward(**arguments)[0]

    def gradients(backward, dy, arguments):
        return tupled(backward(dy, op.forward(**arguments)[1]))

    text = plain_source(op)
    return Subject(op, text, "backward", reachable(text, "backward"), op.CASES, value, gradients)


def of_loss(loss: Callable, cases: list[dict]) -> Subject:
    """A loss: the gradient beside its value. The upstream gradient is 1."""

    def value(**arguments):
        return np.asarray(loss(**arguments)[0])

    def gradients(entry, dy, arguments):
        return tuple(dy * gradient for gradient in tupled(entry(**arguments)[1]))

    module, name = sys.modules[loss.__module__], loss.__name__
    text = plain_source(module)
    functions = reachable(text, name)
    return Subject(module, text, name, functions, cases, value, gradients, set(_leads_to(functions[name].body, set(), 1)))


def names_of_gradients(subject: Subject, case: dict, arguments: dict) -> list[str]:
    """The arguments of a case that get a gradient: a loss has none for targets."""
    dy = np.ones(()) if subject.sliced is not None else None
    names = differentiable(case)
    if dy is None:
        return names
    return names[: len(subject.gradients(subject.compiled(subject.functions), dy, arguments))]


def plain_source(module: ModuleType) -> str:
    """The source of a file, whose functions are without their ways to fast forms."""
    text = inspect.getsource(module)
    lines = text.splitlines()
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            extent = slice(node.lineno - 1, node.end_lineno)
            lines[extent] = plain("\n".join(lines[extent])).splitlines()
    return "\n".join(lines)


def reachable(text: str, entry: str) -> dict[str, ast.FunctionDef]:
    """A function and the plain functions of a file's text that it calls, without checks and without fast forms."""
    tree = ast.parse(text)
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.decorator_list}
    found: dict[str, ast.FunctionDef] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop(0)
        if name in defined and name not in found and not _is_other(name):
            found[name] = defined[name]
            waiting += [node.id for node in ast.walk(found[name]) if isinstance(node, ast.Name)]
    return found


def _is_other(name: str) -> bool:
    """Checks, fast forms, and what looks up the forward pass."""
    return name.lstrip("_").startswith("check") or name.endswith(("_fast", "_gpu")) or name in NO_MATHEMATICS


def _leads_to(body: list[ast.stmt], needed: set[str], element: int) -> Iterator[ast.AST]:
    """The nodes that one element of what is returned comes from, those of a block read from its end; fills `needed`."""
    for statement in reversed(body):
        match statement:
            case ast.Return(ast.Tuple(values)):
                yield statement
                yield from _whole(values[element], needed)
            case ast.If():
                yield from _leads_to(statement.body, needed, element)
                yield from _leads_to(statement.orelse, needed, element)
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                for target, value in zip(targets, values, strict=True):
                    if _names(target) & needed:
                        yield from _whole(value, needed)
            case ast.Assign(targets, value) if any(_names(target) & needed for target in targets):
                yield from _whole(value, needed)
            case ast.AugAssign(target, _, value) if _names(target) & needed:
                yield statement
                yield from _whole(value, needed)


def _whole(value: ast.expr, needed: set[str]) -> Iterator[ast.AST]:
    needed |= _names(value)
    yield from ast.walk(value)


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
