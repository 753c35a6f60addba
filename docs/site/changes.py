"""Changes of a backward pass: each of its expressions without a term, with the other sign, and so on.

A change is made in a syntax tree. Indices, conditions, shapes and default values are left alone: they are no mathematics.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from deepnp.learn.variants import with_node

NO_MATHEMATICS = frozenset({
    "range", "reshape", "tuple", "arange", "zeros", "empty", "empty_like", "zeros_like", "len", "getattr", "pays", "fastest", "max",
    "over_threads", "for_all", "by_layer",
})  # fmt: skip


@dataclass(frozen=True)
class Changed:
    """One changed expression.

    Attributes
    ----------
    kind : str
        "without a term", "the other sign", …
    before, after : str
        The expression.
    functions : dict of str to ast.FunctionDef
        All functions, one of them with the change.
    place : (str, int)
        The changed function, and the number of the expression in it.
    """

    kind: str
    before: str
    after: str
    functions: dict[str, ast.FunctionDef]
    place: tuple[str, int]


def changes(functions: dict[str, ast.FunctionDef], entry: str, sliced: set[ast.AST] | None = None) -> Iterator[Changed]:
    """Every change of some functions.

    Parameters
    ----------
    functions : dict of str to ast.FunctionDef
    entry : str
        The one whose results are gradients; a result is given the other sign in it alone.
    sliced : set of ast.AST or None
        What of the entry is changed; None is all of it.
    """
    for name, function in functions.items():
        only = sliced if name == entry else None
        for i, node in enumerate(places(function)):
            if (isinstance(node, ast.Return) and name != entry) or (only is not None and node not in only):
                continue
            for kind, new in _changes(node, only):
                new = ast.fix_missing_locations(new)
                yield Changed(kind, *_texts(node, new), replaced(functions, (name, i), new), (name, i))


def _texts(node: ast.AST, new: ast.AST) -> tuple[str, str]:
    """The expression before and after; of several results, the one that differs."""
    before, after = ast.unparse(node).removeprefix("return "), ast.unparse(new).removeprefix("return ")
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and isinstance(new, ast.Return):
        pairs = zip(node.value.elts, getattr(new.value, "elts", []), strict=True)
        before, after = next((ast.unparse(a), ast.unparse(b)) for a, b in pairs if ast.unparse(a) != ast.unparse(b))
    return before, after


def replaced(functions: dict[str, ast.FunctionDef], place: tuple[str, int], new: ast.AST) -> dict[str, ast.FunctionDef]:
    """The functions with another node at one place."""
    name, i = place
    return {**functions, name: with_node(functions[name], places(functions[name])[i], new)}


def places(function: ast.FunctionDef) -> list[ast.AST]:
    """The nodes of a function that compute: no indices, conditions, shapes, types or default values."""
    found: list[ast.AST] = []

    def walk(node: ast.AST) -> None:
        found.append(node)
        for field, child in _children(node):
            if not _is_bookkeeping(node, field, child):
                walk(child)

    for statement in function.body:
        walk(statement)
    return found


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield field, child


def _is_bookkeeping(node: ast.AST, field: str, child: ast.AST) -> bool:
    if (isinstance(node, ast.Subscript) and field == "slice") or field in ("test", "iter", "keywords", "generators"):
        return True
    return isinstance(child, ast.Compare) or (isinstance(child, ast.Call) and called(child) in NO_MATHEMATICS)


def called(call: ast.Call) -> str:
    """The name of the function or method that is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _changes(node: ast.AST, only: set[ast.AST] | None) -> Iterator[tuple[str, ast.AST]]:
    """What can be done to one node: the kind of change, and what stands there instead."""
    match node:
        case ast.BinOp(left, ast.Add() | ast.Sub() as sign, right):
            other = ast.Sub() if isinstance(sign, ast.Add) else ast.Add()
            yield "without a term", left
            yield "without a term", right if isinstance(sign, ast.Add) else ast.UnaryOp(ast.USub(), right)
            yield "the other sign", ast.BinOp(left, other, right)
        case ast.BinOp(left, ast.Mult(), right):
            yield "without a factor", left
            yield "without a factor", right
        case ast.BinOp(left, ast.Div(), right):
            yield "without a factor", left
        case ast.UnaryOp(ast.USub(), operand) if not isinstance(operand, ast.Constant):
            yield "the other sign", operand
        case ast.AugAssign(target, ast.Add(), value):
            yield "without a term", ast.Pass()
            yield "the other sign", ast.AugAssign(target, ast.Sub(), value)
            if isinstance(target, ast.Subscript):
                yield "overwrites instead of adding", ast.Assign([target], value)
        case ast.Call(ast.Attribute(value, "sum"), arguments, keywords):
            yield "the mean for the sum", ast.Call(ast.Attribute(value, "mean", ast.Load()), arguments, keywords)
        case ast.Call(ast.Attribute(value, "mean"), arguments, keywords):
            yield "the sum for the mean", ast.Call(ast.Attribute(value, "sum", ast.Load()), arguments, keywords)
        case ast.Call(ast.Attribute(_, "backward"), [gradient, *_]):
            yield "one derivative skipped", gradient
        case ast.Call(ast.Attribute(_, "where"), [_, one, other]):
            yield "the first of two cases everywhere", one
            yield "the second of two cases everywhere", other
        case ast.Call(ast.Attribute(_, "clip"), [held, _, _]):
            yield "not clipped", held
        case ast.Return(ast.Tuple(values)):
            for i, element in enumerate(values):
                if not isinstance(element, ast.Starred) and (only is None or element in only):
                    yield "the other sign", ast.Return(_with(values, i, _negative(element)))
        case ast.Return(value) if value is not None:
            yield "the other sign", ast.Return(_negative(value))


def _negative(value: ast.expr) -> ast.expr:
    """−value; each element of a tuple of gradients."""
    if isinstance(value, ast.Tuple):
        return ast.Tuple([_negative(element) for element in value.elts], ast.Load())
    return ast.UnaryOp(ast.USub(), value)


def _with(values: list[ast.expr], i: int, value: ast.expr) -> ast.Tuple:
    return ast.Tuple([*values[:i], value, *values[i + 1 :]], ast.Load())
