"""The text of a function as its mathematics needs it: without the lines that choose a fast form."""

import ast
from collections.abc import Callable, Iterator
from typing import Any

CHOOSERS = ("_run", "_runs", "pays")  # ends of names of functions that say whether a fast form runs
FAST = ("_fast", "_gpu")  # ends of names of fast forms


def plain(text: str) -> str:
    """The source of a function without its ways to fast forms.

    What happens where `kernel_runs`, or one of its kind, says so is left out, and so is what only
    that needs. `fastest(f, …)` becomes `f`. `if not kernel_runs(…)` is left alone.
    """
    tree = ast.parse(text)
    chosen, forms = _chosen(tree), _forms(tree)
    shorter = _edited(text, lambda node: _new(node, text, chosen, forms))
    remaining = ast.parse(shorter)
    unused = _names(tree, ast.Load) & _names(remaining, ast.Store) - _names(remaining, ast.Load)
    return _edited(shorter, lambda node: "" if _assigns(node, unused) else None)


def _edited(text: str, new: Callable[[ast.AST], str | None]) -> str:
    """The text with another one for some nodes: "" leaves out their lines, and None is no change."""
    encoded = text.encode()
    starts = [0]
    for line in encoded.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    made, done = b"", 0
    nodes: list[Any] = [node for node in ast.walk(ast.parse(text)) if hasattr(node, "lineno")]
    for node in sorted(nodes, key=lambda node: _place(node, starts)[0]):
        begin, end = _place(node, starts)
        if begin < done or (instead := new(node)) is None:
            continue
        if not instead:
            begin, end = starts[node.lineno - 1], starts[node.end_lineno]
        made, done = made + encoded[done:begin] + instead.encode(), end
    return (made + encoded[done:]).decode().rstrip("\n")


def _place(node: Any, starts: list[int]) -> tuple[int, int]:
    """Where a node's text begins and ends, in bytes."""
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset


def _new(node: ast.AST, text: str, chosen: set[str], forms: dict[str, str]) -> str | None:
    """What stands in the place of a node: nothing, its plain form, or (None) itself."""
    if _is_left_out(node, chosen) or _assigns(node, set(forms)):
        return ""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in forms:
        return forms[node.id]
    kept = _kept(node, chosen)
    return None if kept is None else ast.get_source_segment(text, kept)


def _chosen(tree: ast.AST) -> set[str]:
    """Names of variables that say whether a fast form runs."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _asks(node.value, found):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def _forms(tree: ast.AST) -> dict[str, str]:
    """`step = fastest(step_plain, …)`: the plain form that each such name stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], ast.Call() as call) if _called(call) == "fastest":
                found[name] = ast.unparse(call.args[0])
    return found


def _asks(test: ast.AST, chosen: set[str]) -> bool:
    """Whether an expression asks if a fast form runs."""
    nodes = list(_remaining(test, chosen))
    calls = [_called(node) for node in nodes if isinstance(node, ast.Call)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return any(name.endswith(CHOOSERS) for name in calls) or bool(names & chosen)


def _remaining(node: ast.AST, chosen: set[str]) -> Iterator[ast.AST]:
    """The nodes of an expression, those of the plain form where it makes a choice."""
    kept = _kept(node, chosen)
    if kept is not None:
        yield from _remaining(kept, chosen)
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _remaining(child, chosen)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_left_out(node: ast.AST, chosen: set[str]) -> bool:
    if isinstance(node, ast.If) and not node.orelse:
        negative = isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)
        idle = all(_is_left_out(inner, chosen) or _is_fast(inner) for inner in node.body)
        return idle or (not negative and _asks(node.test, chosen))
    return _assigns(node, chosen)


def _is_fast(node: ast.AST) -> bool:
    """Whether a statement returns what a fast form computes."""
    return isinstance(node, ast.Return) and isinstance(node.value, ast.Call) and _called(node.value).endswith(FAST)


def _assigns(node: ast.AST, names: set[str]) -> bool:
    """Whether a statement gives a value to one of these names."""
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id in names for t in node.targets)


def _kept(node: ast.AST, chosen: set[str]) -> ast.AST | None:
    """What of an expression is the plain form; None where it makes no choice."""
    if isinstance(node, ast.Call) and _called(node) == "fastest":
        return node.args[0]
    return node.orelse if isinstance(node, ast.IfExp) and _asks(node.test, chosen) else None


def _names(tree: ast.AST, use: type) -> set[str]:
    """Names that are read (ast.Load) or written (ast.Store)."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, use)}
