"""Where source can be mutated, and what it then reads: Cosmic Ray's operators on a seeded sample of places, and named mutants.

Left out is what no test can notice: annotations, error messages, `__repr__`, and what only runs on a GPU. So are operators
whose mutants die of a TypeError without any test's merit (`+` as `>>`).
"""

import ast
import difflib
import fnmatch
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[2]
SWAPS = ("Add_Sub", "Sub_Add", "Add_Mul", "Mul_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "Mod_FloorDiv", "FloorDiv_Mul")
SWAPS += ("BitAnd_BitOr", "BitOr_BitAnd")
COMPARISONS = ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt", "LtE_GtE", "GtE_LtE", "Eq_NotEq", "NotEq_Eq")
COMPARISONS += ("Is_IsNot", "IsNot_Is")
OPERATORS = tuple(
    f"core/{name}"
    for name in (
        *(f"ReplaceBinaryOperator_{swap}" for swap in SWAPS),
        *(f"ReplaceComparisonOperator_{swap}" for swap in COMPARISONS),
        *(f"ReplaceUnaryOperator_{change}" for change in ("Delete_USub", "Delete_Invert", "Delete_Not")),
        *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd", "AddNot"),
        *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop"),
    )
)
UNTESTABLE = ("*gpu*", "__repr__", "__init_subclass__")  # names of functions
TEST_DATA = re.compile("CASES|_[A-Z_]+")  # tables at a file's end
UNTESTABLE_FILES = ("deepnp/gpu.py", "deepnp/scan.py", "rl/training/video.py")

Position = tuple[int, int]  # line from 1, column from 0, in characters


@dataclass(frozen=True)
class Mutant:
    """One small fault: the file's path in the tree, and its whole text with the fault in it."""

    path: str
    line: int
    what: str
    source: str

    def diff(self) -> str:
        before = (ROOT / self.path).read_text().splitlines()
        lines = difflib.unified_diff(before, self.source.splitlines(), self.path, self.path, n=0, lineterm="")
        return "\n".join(list(lines)[3:])  # without the two names and the place


@dataclass(frozen=True)
class Named:
    """A mutant that must die: in the one file of `files` that holds it, the text `old` reads `new`."""

    what: str
    files: str
    old: str
    new: str

    def mutant(self) -> Mutant:
        """The mutant; ValueError unless the text is there exactly once."""
        found = [(path, text) for path in modules((self.files,)) if self.old in (text := (ROOT / path).read_text())]
        if len(found) != 1 or found[0][1].count(self.old) != 1:
            counts = {path: text.count(self.old) for path, text in found}
            raise ValueError(f'"{self.what}": expected {self.old!r} exactly once in {self.files}, found {counts}')
        path, text = found[0]
        return Mutant(path, text[: text.index(self.old)].count("\n") + 1, self.what, text.replace(self.old, self.new))


def modules(patterns: tuple[str, ...] = ("rl/*", "deepnp/*")) -> list[str]:
    """Source files that match a pattern, as paths in the tree."""
    paths = (str(p.relative_to(ROOT)) for folder in ("rl", "deepnp") for p in sorted((ROOT / folder).rglob("*.py")))
    return [p for p in paths if p not in UNTESTABLE_FILES and any(fnmatch.fnmatch(p, pattern) for pattern in patterns)]


def sample(patterns: tuple[str, ...], size: int, seed: int) -> list[Mutant]:
    """Up to `size` mutants, each at a place of its own, every place as likely as any other."""
    rng = random.Random(seed)
    places = [(path, place, faults) for path in modules(patterns) for place, faults in places_of((ROOT / path).read_text())]
    chosen = rng.sample(places, min(size, len(places)))
    mutants = (make(path, place, *rng.choice(faults)) for path, place, faults in chosen)
    return sorted(mutants, key=lambda mutant: (mutant.path, mutant.line))


def make(path: str, place: Position, operator: str, occurrence: int) -> Mutant:
    """The mutant that an operator's n-th occurrence in a file is."""
    text = (ROOT / path).read_text()
    source = mutate_code(text, get_operator(operator)(), occurrence)
    return Mutant(path, place[0], operator.removeprefix("core/"), source)


def places_of(text: str) -> Iterator[tuple[Position, list[tuple[str, int]]]]:
    """Every place of a source text with the faults that fit there: (operator, its occurrence in the text)."""
    operators = [(name, get_operator(name)()) for name in OPERATORS]
    counts, found = dict.fromkeys(OPERATORS, 0), {}
    for node in ast_nodes(get_ast(text)):
        for name, operator in operators:
            for start, _ in operator.mutation_positions(node):
                found.setdefault(start, []).append((name, counts[name]))
                counts[name] += 1
    hidden = untestable(text)
    for place, faults in found.items():
        if not any(start <= place < stop for start, stop in hidden):
            yield place, faults


def untestable(text: str) -> list[tuple[Position, Position]]:
    """Stretches of a source text that are not mutated."""
    lines, stretches = text.splitlines(), []

    def characters(line: int, byte: int) -> Position:
        return line, len(lines[line - 1].encode()[:byte].decode())

    for node in ast.walk(ast.parse(text)):
        for part in hidden_parts(node):
            stretches.append((characters(part.lineno, part.col_offset), characters(part.end_lineno, part.end_col_offset)))
    return stretches


def hidden_parts(node: ast.AST) -> list[ast.AST]:
    """What of a node is not mutated: annotations, error messages, functions that no test can reach here, tables of test cases."""
    if isinstance(node, ast.Raise | ast.Assert):
        return [node]
    if isinstance(node, ast.arg | ast.AnnAssign):
        return [node.annotation] if node.annotation else []
    if isinstance(node, ast.FunctionDef):
        hidden = any(fnmatch.fnmatch(node.name, pattern) for pattern in UNTESTABLE)
        return [node] if hidden else [node.returns] if node.returns else []
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and TEST_DATA.fullmatch(t.id) for t in node.targets):
        return [node]
    return []
