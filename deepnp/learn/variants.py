"""Wrong answers, made from the right one: each of its terms left out, each sign turned.

They tell a reader which mistake was made, and the tests that no such mistake passes.
"""

import ast
import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Change = tuple[str, Callable[[Any], ast.AST]]
SIZES = {"range", "reshape", "zeros", "empty", "full", "arange", "len", "slice", "ones", "astype", "type", "swapaxes", "transpose"}


@dataclass(frozen=True)
class Variant:
    """A wrong answer.

    Attributes
    ----------
    text : str
        What was done, as in "dx is what comes out …": "without the term `a`".
    function : callable
        The solution, with its change.
    term : bool
        Whether a term of a sum was left out.
    """

    text: str
    function: Callable
    term: bool


def variants(module: ModuleType, solution: str) -> Iterator[Variant]:
    """Every wrong answer that is one change away from `solution` or from what it calls in its own file."""
    functions = reachable(module, solution)
    for name, tree in functions.items():
        skipped = _of_sizes(tree)
        for place, node in enumerate(ast.walk(tree)):
            if id(node) not in skipped:
                for text, make in changes(node):
                    changed = {**functions, name: _changed(tree, place, make)}
                    yield Variant(text, compiled(module, changed)[solution], text.startswith("without the term"))


def reachable(module: ModuleType, name: str) -> dict[str, ast.FunctionDef]:
    """The plain functions of a file that one of them needs, itself included."""
    defined = {n.name: n for n in ast.parse(inspect.getsource(module)).body if isinstance(n, ast.FunctionDef)}
    found, waiting = {}, [name]
    while waiting:
        node = defined.get(waiting.pop())
        if node is not None and node.name not in found and not node.decorator_list:
            found[node.name] = node
            waiting += [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    return found


def compiled(module: ModuleType, functions: dict[str, ast.FunctionDef]) -> dict:
    """The module's names, with these functions in place of its own."""
    names = dict(vars(module))
    tree = ast.Module(list(functions.values()), [])
    exec(compile(tree, f"<a variant of {module.__name__}>", "exec"), names)
    return names


def changes(node: ast.AST) -> Iterator[Change]:
    """What may be done wrong at one place of a formula."""
    match node:
        case ast.BinOp(left, ast.Add(), right):
            yield f"without the term `{_short(left)}`", lambda n: n.right
            yield f"without the term `{_short(right)}`", lambda n: n.left
            yield f"with the other sign of `{_short(right)}`", lambda n: ast.BinOp(n.left, ast.Sub(), n.right)
        case ast.BinOp(left, ast.Sub(), right):
            yield f"without the term `{_short(left)}`", lambda n: ast.UnaryOp(ast.USub(), n.right)
            yield f"without the term `{_short(right)}`", lambda n: n.left
            yield f"with the other sign of `{_short(right)}`", lambda n: ast.BinOp(n.left, ast.Add(), n.right)
        case ast.BinOp(left, ast.Mult(), right):
            yield f"without the factor `{_short(left)}`", lambda n: n.right
            yield f"without the factor `{_short(right)}`", lambda n: n.left
        case ast.BinOp(_, ast.Div(), right):
            yield f"without the division by `{_short(right)}`", lambda n: n.left
        case ast.UnaryOp(ast.USub(), operand) if not isinstance(operand, ast.Constant):
            yield f"with the other sign of `{_short(operand)}`", lambda n: n.operand
        case ast.AugAssign(target, ast.Add()):
            kept = _short(target)
            yield f"where `{kept}` is overwritten instead of added to", lambda n: ast.Assign([n.target], n.value)
            yield f"where `{kept}` is subtracted from", lambda n: ast.AugAssign(n.target, ast.Sub(), n.value)


def _short(node: ast.AST) -> str:
    return ast.unparse(node)


def _of_sizes(tree: ast.AST) -> set[int]:
    """Nodes of indices, shapes, conditions and messages: no part of a formula."""
    found = set()
    for node in ast.walk(tree):
        roots: list[ast.AST] = []
        if isinstance(node, ast.Subscript):
            roots = [node.slice]
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            roots = [*node.keywords, *(node.args if called in SIZES else ())]
        elif isinstance(node, ast.Compare | ast.Raise | ast.arguments):
            roots = [node]
        elif isinstance(node, ast.If | ast.IfExp):
            roots = [node.test]
        found |= {id(part) for root in roots for part in ast.walk(root)}
    return found


def _changed(tree: ast.FunctionDef, place: int, make: Callable[[Any], ast.AST]) -> ast.FunctionDef:
    wanted = next(node for i, node in enumerate(ast.walk(tree)) if i == place)
    return ast.fix_missing_locations(with_node(tree, wanted, make(wanted)))


def with_node(tree: Any, old: ast.AST, new: ast.AST) -> Any:
    """A syntax tree with another node in the place of one; the parts that do not hold it are shared."""
    if tree is old:
        return new
    for field, value in ast.iter_fields(tree):
        children = value if isinstance(value, list) else [value]
        renewed = [with_node(child, old, new) if isinstance(child, ast.AST) else child for child in children]
        if any(a is not b for a, b in zip(children, renewed)):
            copied = copy.copy(tree)
            setattr(copied, field, renewed if isinstance(value, list) else renewed[0])
            return copied
    return tree
