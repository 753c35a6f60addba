"""What if a term of a backward pass were missing, or had the other sign? Every such change is made and checked.

A change is made in the syntax tree of the operation's own `backward` and of the plain functions of the same file that it calls.
The changed function then runs on all CASES of the operation, beside the gradient check's central differences.
"""

import ast
import copy
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from deepnp.cases import differentiable, dot, draw, tupled, upstream
from deepnp.gradcheck import numerical_gradient, relative_error

SEPARATION = 1e3  # a wrong gradient's error is at least so many times the right one's
_NO_MATHEMATICS = frozenset({
    "range", "reshape", "tuple", "arange", "zeros", "empty", "empty_like", "zeros_like", "len", "getattr", "pays", "fastest", "max",
    "over_threads", "for_all", "by_layer",
})  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One change of a backward pass, and what the gradient check says of it."""

    kind: str  # "without a term", "the other sign", …
    before: str
    after: str
    errors: dict[str, float]  # argument -> the largest error of its gradient over all cases
    reached: bool = True  # whether any case runs this expression

    @property
    def error(self) -> float:
        return max(self.errors.values(), default=0.0)


@dataclass(frozen=True)
class WhatIf:
    """All changes of one backward pass."""

    right: dict[str, float]  # argument -> the right gradient's error
    changes: list[Change]

    def separated(self, change: Change) -> bool:
        """Whether the gradient check tells this change from what is right."""
        return change.error >= SEPARATION * max(*self.right.values(), 1e-13)


def what_if(op: ModuleType, seed: int = 0) -> WhatIf:
    """Make every change of an operation's backward pass, and check each one."""
    functions = reachable(op)
    cases = [_Case(op, case, [seed, i]) for i, case in enumerate(op.CASES) if filled(case)]
    right = _errors(cases, op.backward)
    found: dict[tuple[str, str], Change] = {}
    for kind, before, after, changed in mutants(functions):
        if (before, after) in found:
            continue
        errors = _errors(cases, _compiled(op, changed))
        if errors and not any(math.isinf(e) for e in errors.values()):
            found[before, after] = Change(kind, before, after, errors)
    return WhatIf(right, [_with_reach(op, cases, functions, right, change) for change in found.values()])


def _with_reach(op: ModuleType, cases: list["_Case"], functions: dict, right: dict[str, float], change: Change) -> Change:
    """Where a change changes no number: whether any case comes to it, tried with an expression that cannot be computed."""
    if change.errors != right:
        return change
    for name, function in functions.items():
        for i, node in enumerate(_places(function)):
            if isinstance(node, ast.expr) and ast.unparse(node) == change.before:
                broken = copy.deepcopy(function)
                undefined = ast.copy_location(ast.Name("_undefined", ast.Load()), node)
                broken = _Replace(_places(broken)[i], undefined).visit(broken)
                if not _errors(cases, _compiled(op, {**functions, name: broken})):
                    return change
    return replace(change, reached=False)


class _Case:
    """One case with its upstream gradient and its central differences."""

    def __init__(self, op: ModuleType, case: dict, seed: list[int]):
        rng = np.random.default_rng(seed)
        self.op, self.case, self.arguments = op, case, draw(case, rng)
        self.dy = upstream(self.cache()[0], rng)
        self.expected = {name: numerical_gradient(self.projected(name), self.arguments[name]) for name in differentiable(case)}

    def cache(self) -> tuple:
        return self.op.forward(**self.arguments)

    def projected(self, name: str) -> Callable:
        return lambda x: dot(self.dy, self.op.forward(**{**self.arguments, name: x})[0])


def filled(case: dict) -> bool:
    """Whether no differentiable argument of a case is empty."""
    shapes = [getattr(case[name], "shape", case[name]) for name in differentiable(case)]
    return all(0 not in shape for shape in shapes)


def _errors(cases: list[_Case], backward: Callable) -> dict[str, float]:
    """The largest error of each gradient; empty where the changed function does not run."""
    errors: dict[str, float] = {}
    for case in cases:
        try:
            with np.errstate(all="ignore"):
                gradients = tupled(backward(case.dy, case.cache()[1]))
        except (TypeError, ValueError, IndexError, AttributeError, NameError, ZeroDivisionError, ImportError):
            return {}
        if len(gradients) != len(case.expected):
            return {}
        for (name, expected), gradient in zip(case.expected.items(), gradients, strict=True):
            shape = getattr(gradient, "shape", None)
            error = relative_error(gradient, expected) if shape == expected.shape else math.inf
            errors[name] = max(errors.get(name, 0.0), error)
    return errors


def reachable(op: ModuleType) -> dict[str, ast.FunctionDef]:
    """`backward` and the plain functions of its file that it calls, checks left out."""
    tree = ast.parse(inspect.getsource(op))
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.decorator_list}
    found: dict[str, ast.FunctionDef] = {}
    waiting = ["backward"]
    while waiting:
        name = waiting.pop(0)
        if name in defined and name not in found and not _is_other(name):
            found[name] = defined[name]
            waiting += [node.id for node in ast.walk(defined[name]) if isinstance(node, ast.Name)]
    return found


def _is_other(name: str) -> bool:
    """Checks, fast forms, and what looks up the forward pass."""
    return name.lstrip("_").startswith("check") or name.endswith(("_fast", "_gpu")) or name in _NO_MATHEMATICS


def _compiled(op: ModuleType, functions: dict[str, ast.FunctionDef]) -> Callable:
    """The changed `backward`, in a copy of the operation's module."""
    names = dict(vars(op))
    module = ast.fix_missing_locations(ast.Module(list(functions.values()), []))
    exec(compile(module, op.__name__, "exec"), names)
    return names["backward"]


def mutants(functions: dict[str, ast.FunctionDef]) -> Iterator[tuple[str, str, str, dict[str, ast.FunctionDef]]]:
    """Every change: its kind, the expression before and after it, and the functions with it."""
    for name, function in functions.items():
        for i, node in enumerate(_places(function)):
            if isinstance(node, ast.Return) and name != "backward":
                continue
            for kind, new in _changes(node):
                new = ast.fix_missing_locations(new)
                changed = copy.deepcopy(function)
                target = _places(changed)[i]
                changed = _Replace(target, copy.deepcopy(new)).visit(changed)
                yield kind, ast.unparse(node), ast.unparse(new), {**functions, name: changed}


def _places(function: ast.FunctionDef) -> list[ast.AST]:
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
    return isinstance(child, ast.Compare) or (isinstance(child, ast.Call) and _called(child) in _NO_MATHEMATICS)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
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
        case ast.Return(value) if value is not None:
            values = value.elts if isinstance(value, ast.Tuple) else [value]
            for i, element in enumerate(values):
                if not isinstance(element, ast.Starred):
                    flipped = [*values[:i], ast.UnaryOp(ast.USub(), element), *values[i + 1 :]]
                    yield "the other sign", ast.Return(ast.Tuple(flipped, ast.Load()) if len(values) > 1 else flipped[0])


class _Replace(ast.NodeTransformer):
    """Puts another node in the place of one."""

    def __init__(self, target: ast.AST, new: ast.AST):
        self.target, self.new = target, new

    def visit(self, node: ast.AST):
        return self.new if node is self.target else self.generic_visit(node)
