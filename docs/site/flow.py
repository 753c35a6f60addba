"""What flows from where to where in an operation's file, told from the names in its code.

A gradient is `d` and the name of what it belongs to, a cache has named fields, and `backward` returns gradients in the order of the
arguments. So names tell which line of `forward` a line of `backward` differentiates, and what it uses of the forward pass.
"""

import ast
from dataclasses import dataclass, field

from deepnp.cases import differentiable
from docs.site.changes import NO_MATHEMATICS, called
from docs.site.subjects import Subject

_SIZES = frozenset({"shape", "size", "ndim", "dtype"})
_NO_VALUE = NO_MATHEMATICS | {"array_module", "ones_like", "result_type", "isinstance", "type", "running", "begins"}


@dataclass(frozen=True)
class Line:
    """One statement, or one part of `a, b = …, …`: its lines in the file, the names that it reads and those that it writes."""

    lines: range
    reads: frozenset[str]
    writes: frozenset[str]
    repeated: bool = False  # it stands in a loop
    copies: bool = False  # it only takes over what is there


@dataclass(frozen=True)
class Tie:
    """What a line of `backward` has to do with `forward`: lines that it differentiates, and lines whose results it uses."""

    lines: range
    differentiates: tuple[int, ...] = ()
    uses: tuple[int, ...] = ()


@dataclass(frozen=True)
class Flow:
    """The statements of `forward`, and what its cache holds.

    Attributes
    ----------
    arguments : list of str
        Of `forward`.
    lines : list of Line
    fields : dict of str to set of str
        A field of the cache -> the names of `forward` that stand in it; a field that is one name is that name.
    """

    arguments: list[str]
    lines: list[Line]
    fields: dict[str, set[str]] = field(default_factory=dict)

    def reading(self, name: str, gradients: set[str]) -> set[int]:
        """First lines of the statements that a gradient with respect to `name` goes through.

        Those are the ones that read it, and those that read what they write, up to names that have a gradient of their own, and
        up to a loop, where everything is read by everything.
        """
        found, waiting, met = set(), [name], {name}
        while waiting:
            current = waiting.pop()
            for line in self.lines:
                if current in line.reads:
                    found.add(line.lines.start)
                    waiting += [w for w in line.writes - met if f"d{w}" not in gradients and not line.repeated]
                    met |= line.writes
        return found

    def writing(self, name: str) -> set[int]:
        """First lines of the statements that make a name."""
        return {line.lines.start for line in self.lines if name in line.writes and line.reads}  # room made for it does not count


def functions_of(subject: Subject) -> dict[str, ast.FunctionDef]:
    """Every function of the file."""
    return {node.name: node for node in ast.parse(subject.text).body if isinstance(node, ast.FunctionDef)}


def flow_of(subject: Subject) -> Flow:
    """Read the file of an operation."""
    forward = functions_of(subject)["forward"]
    made = [node for node in ast.walk(forward) if isinstance(node, ast.Call) and called(node) == "Cache"]
    repeated = {s for loop in ast.walk(forward) if isinstance(loop, ast.For | ast.While) for s in ast.walk(loop)}
    lines = [line for s in _simple(forward.body) for line in _lines(s, s in repeated)]
    return Flow([a.arg for a in forward.args.args], lines, _fields(subject, made))


def _fields(subject: Subject, made: list[ast.Call]) -> dict[str, set[str]]:
    """What the last `Cache(…)` of forward holds: the earlier ones are for special cases."""
    names = getattr(getattr(subject.module, "Cache", None), "_fields", ())
    if not made or any(isinstance(a, ast.Starred) for a in made[-1].args):
        return {}
    given = {**dict(zip(names, made[-1].args, strict=False)), **{k.arg: k.value for k in made[-1].keywords if k.arg}}
    return {name: _read(value) for name, value in given.items()}


def _simple(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements that hold no others, in their order."""
    found: list[ast.stmt] = []
    for statement in body:
        inner = [s for part in ("body", "orelse", "finalbody") for s in getattr(statement, part, [])]
        found += _simple(inner) if inner else [statement]
    return found


def _lines(statement: ast.stmt, repeated: bool = False) -> list[Line]:
    """`a, b = …, …` in its parts, and any other statement whole."""
    match statement:
        case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)) if len(targets) == len(values):
            return [
                Line(_extent(statement), frozenset(_read(value)), frozenset(_targets(target)), repeated, _copies(value))
                for target, value in zip(targets, values, strict=True)
            ]
    return [_line(statement, repeated)]


def _line(statement: ast.stmt, repeated: bool = False) -> Line:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    written = set().union(*(_targets(t) for t in targets if t is not None))
    reads = _read(_result(statement))
    if isinstance(statement, ast.AugAssign):
        reads |= written
    copies = _copies(_result(statement))
    return Line(_extent(statement), frozenset(reads), frozenset(written | _written_out(statement)), repeated, copies)


def _copies(value: ast.AST) -> bool:
    """Whether an expression computes nothing: a name, a part of an array, a copy."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and called(value) in ("copy", "ascontiguousarray"):
        return _copies(value.args[0] if value.args else value.func.value)
    return isinstance(value, ast.Name) or (isinstance(value, ast.Subscript) and _copies(value.value))


def _extent(statement: ast.stmt) -> range:
    return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)


def _targets(target: ast.expr) -> set[str]:
    """The names that are written; in `y[rows]` that is y."""
    if isinstance(target, ast.Tuple | ast.List):
        return set().union(*(_targets(element) for element in target.elts))
    if isinstance(target, ast.Subscript | ast.Starred):
        return _targets(target.value)
    return {target.id} if isinstance(target, ast.Name) else set()


def _result(statement: ast.stmt) -> ast.AST:
    """What a statement computes: of `return y, Cache(…)`, nothing, because y is there already."""
    value = getattr(statement, "value", None) or ast.Pass()
    returned = value.elts[0] if isinstance(statement, ast.Return) and isinstance(value, ast.Tuple) else value
    return ast.Pass() if isinstance(statement, ast.Return) and isinstance(returned, ast.Name) else value


def _written_out(statement: ast.stmt) -> set[str]:
    """Names that a call writes into: `xp.add(a, b, out=y)`, `xp.copyto(y, a)`, `xp.add.at(y, places, a)`."""
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    written = [k.value for c in calls for k in c.keywords if k.arg == "out"]
    written += [c.args[0] for c in calls if called(c) in ("at", "copyto")]
    return {n.id for value in written for n in ast.walk(value) if isinstance(n, ast.Name)}


def _read(node: ast.AST) -> set[str]:
    """Names whose numbers an expression reads: not those of shapes, and not what only goes into the cache."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Compare | ast.BoolOp) or (isinstance(node, ast.Attribute) and node.attr in _SIZES):
        return set()
    if isinstance(node, ast.Call) and (called(node) in _NO_VALUE or called(node) == "Cache" or called(node).startswith("check")):
        return set()
    found = {f"{node.value.id}.{node.attr}"} if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) else set()
    children = [node.value] if isinstance(node, ast.Subscript) else list(ast.iter_child_nodes(node))
    return found.union(*(_read(child) for child in children))


def ties(subject: Subject) -> list[Tie]:
    """What each statement of the backward pass has to do with `forward`; statements without a tie are left out."""
    flow, functions = flow_of(subject), functions_of(subject)
    statements = [(name, s) for name in subject.functions if name != "forward" for s in _simple(functions[name].body)]
    gradients = {n for _, s in statements for n in _line(s).writes if n.startswith("d")}
    found = []
    for name, statement in statements:
        line = _line(statement)
        wanted = _wanted(subject, name, statement)
        differentiates = set().union(*(flow.reading(of, gradients) for of in wanted if of in _known(flow)))
        uses = set().union(*(flow.writing(of) for of in _used(subject, flow, functions[name], statement))) - differentiates
        if differentiates or uses:
            found.append(Tie(line.lines, tuple(sorted(differentiates)), tuple(sorted(uses))))
    return found


def _known(flow: Flow) -> set[str]:
    return {*flow.arguments, *(w for line in flow.lines for w in line.writes)}


def _wanted(subject: Subject, function: str, statement: ast.stmt) -> list[str]:
    """Names of `forward` whose gradient a statement makes: dx makes that of x, and `return` those of the arguments."""
    if isinstance(statement, ast.Return) and function == "backward" and statement.value is not None:
        values = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]
        arguments = differentiable(subject.cases[0])
        if len(values) == 1 < len(arguments):
            return []
        first_star = next((i for i, v in enumerate(values) if isinstance(v, ast.Starred)), len(values))
        pairs = zip(arguments, values[:first_star], strict=False)
        return [argument for argument, value in pairs if not isinstance(value, ast.Name)]
    written = {name for part in _lines(statement) for name in part.writes if part.reads and not part.copies}
    return [name[1:] for name in written if name.startswith("d") and name not in ("d", "dy")]


def _used(subject: Subject, flow: Flow, function: ast.FunctionDef, statement: ast.stmt) -> set[str]:
    """Names of `forward` that a statement reads from the cache."""
    local = unpacked(function, list(flow.fields))
    reads = _line(statement).reads
    fields = {local[name] for name in reads if name in local} | {f for f in flow.fields if f"cache.{f}" in reads}
    if isinstance(statement, ast.Assign) and ast.unparse(statement.value) == "cache":
        return set()
    return {name for f in fields for name in flow.fields[f] if len(flow.fields[f]) == 1}


def unpacked(function: ast.FunctionDef, fields: list[str]) -> dict[str, str]:
    """`x, mean = cache` -> each name's field of the cache."""
    for node in ast.walk(function):
        match node:
            case ast.Assign([ast.Tuple(targets)], ast.Name("cache")):
                names = [t.id if isinstance(t, ast.Name) else "" for t in targets]
                return dict(zip(names, fields, strict=False))
    return {}
