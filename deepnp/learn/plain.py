"""The text of a function as its mathematics needs it: without the lines that choose a fast form."""

import ast
from typing import Any

CHOOSERS = ("_run", "_runs", "pays")  # ends of names of functions that say whether a fast form runs


def plain(text: str) -> str:
    """The source of a function without its ways to fast forms.

    What happens where `kernel_runs`, or one of its kind, says so is left out, and `fastest(f, …)`
    becomes `f`.
    """
    tree, encoded = ast.parse(text), text.encode()
    chosen = _chosen(tree)
    starts = [0]
    for line in encoded.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    made, done = b"", 0
    nodes: list[Any] = [node for node in ast.walk(tree) if hasattr(node, "lineno")]
    for node in sorted(nodes, key=lambda node: _place(node, starts)[0]):
        begin, end = _place(node, starts)
        if begin < done:
            continue
        if _is_left_out(node, chosen):
            made, done = made + encoded[done : starts[node.lineno - 1]], starts[node.end_lineno]
        elif (kept := _kept(node, chosen)) is not None:
            made, done = made + encoded[done:begin] + encoded[slice(*_place(kept, starts))], end
    return (made + encoded[done:]).decode().rstrip("\n")


def _place(node: Any, starts: list[int]) -> tuple[int, int]:
    """Where a node's text begins and ends, in bytes."""
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset


def _chosen(tree: ast.AST) -> set[str]:
    """Names of variables that say whether a fast form runs."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _kept(node.value, found) is None and _asks(node.value, found):
            found |= {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return found


def _asks(test: ast.AST, chosen: set[str]) -> bool:
    """Whether an expression asks if a fast form runs."""
    calls = [_called(node) for node in ast.walk(test) if isinstance(node, ast.Call)]
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    return any(name.endswith(CHOOSERS) for name in calls) or bool(names & chosen)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_left_out(node: ast.AST, chosen: set[str]) -> bool:
    if isinstance(node, ast.If):
        idle = _asks(node.test, chosen) or all(_is_left_out(inner, chosen) for inner in node.body)
        return idle and not node.orelse
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id in chosen for t in node.targets)


def _kept(node: ast.AST, chosen: set[str]) -> ast.AST | None:
    """What of an expression is the plain form; None where it makes no choice."""
    if isinstance(node, ast.Call) and _called(node) == "fastest":
        return node.args[0]
    return node.orelse if isinstance(node, ast.IfExp) and _asks(node.test, chosen) else None
