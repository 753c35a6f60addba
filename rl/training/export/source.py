"""The operations of a graph as lines of Python, for NumPy.

A result that only the next operation of the same layer reads has no line of its own: it stands
where it is used.
"""

import inspect
import itertools
import keyword
import re
import textwrap
from types import FunctionType

from rl.training.export import numpy_functions
from rl.training.export.expressions import EXPRESSIONS
from rl.training.export.graph import Graph, Node, Value

WIDTH = 96  # columns of a line inside a function, from which it is broken
SIGNS = {"Add", "Sub", "Mul", "Div", "Equal", "Greater", "MatMul", "Gemm"}  # written between their operands
CALLS = {  # written as function(operands)
    *("AveragePool", "Clip", "Conv", "Elu", "Erf", "LeakyRelu", "Log", "Max", "MaxPool", "Min", "PRelu", "Pad"),
    *("Relu", "Sigmoid", "Sin", "Softmax", "Softplus", "Sqrt", "Tanh"),
}
TAKEN = {"W", "np", *vars(numpy_functions)}  # no input may be called that


def function_of(graph: Graph, name: str, weights: str) -> str:
    """A function that does the graph's operations on rows; `weights` names the dictionary of its constants."""
    inputs = variables(graph.inputs)
    body = Body(graph, inputs | {name: f'{weights}["{name}"]' for name in graph.constants})
    results = ", ".join(body.texts[value.name] for value in graph.outputs.values())
    lines = [
        f"def {name}({', '.join(inputs.values())}) -> np.ndarray:",
        f'    """Rows of observations -> rows of {", ".join(graph.outputs)}s."""',
        *(f"    {line}" for line in [*body.lines, f"return {results}"]),
    ]
    return "\n".join(lines)


class Body:
    """The statements of that function.

    Parameters
    ----------
    graph : Graph
    texts : dict
        What each input and constant is called in Python.

    Attributes
    ----------
    lines : list of str
    texts : dict
        What each result is called, too; of one without a line, its expression.
    """

    def __init__(self, graph: Graph, texts: dict[str, str]):
        self.lines: list[str] = []
        self.texts = dict(texts)
        self._readers: dict[str, list[str]] = {value.name: [""] for value in graph.outputs.values()}  # their scopes
        for node in graph.nodes:
            for x in node.inputs:
                if isinstance(x, Value):
                    self._readers.setdefault(x.name, []).append(node.scope)
        self._signed: set[str] = set()  # results whose expression needs brackets among others
        self._count, self._part = itertools.count(1), ""
        for node in graph.nodes:
            self._add(node)

    def _add(self, node: Node):
        text = EXPRESSIONS[node.op](*(self._word(x, node.op in CALLS) for x in node.inputs), **node.settings)
        name, readers = node.output.name, self._readers.get(node.output.name)
        if readers == [node.scope] and len(text) < WIDTH // 2:
            self.texts[name] = text
            if node.op in SIGNS:
                self._signed.add(name)
        else:
            self._begin_part(node.scope.split(".")[0])
            self.texts[name] = f"h{next(self._count)}"
            self.lines += broken(self.texts[name], text, node.op in CALLS)

    def _word(self, operand: Value | float, apart: bool) -> str:
        """An operand as it is written; `apart`: between commas, where nothing needs brackets."""
        if isinstance(operand, Value):
            text = self.texts[operand.name]
            return text if apart or operand.name not in self._signed else f"({text})"
        return f"{operand:.9g}" if isinstance(operand, float) else repr(operand)

    def _begin_part(self, part: str):
        if part != self._part:
            self._part = part
            self.lines.append(f"# {part}")


def broken(name: str, text: str, called: bool) -> list[str]:
    """`name = text`, on several lines where one would be too long; `called`: the text is one call."""
    if len(name) + len(text) + 3 <= WIDTH:
        return [f"{name} = {text}"]
    function, inside = text[:-1].split("(", 1) if called else ("", text)
    pieces = textwrap.wrap(inside, WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return [f"{name} = {function}(", *(f"    {piece}" for piece in pieces), ")"]


def variables(inputs: list[Value]) -> dict[str, str]:
    """A name in Python for each input: its own, where that is one."""
    names: dict[str, str] = {}
    for i, value in enumerate(inputs):
        name = re.sub(r"\W", "_", value.name)
        taken = name in names.values() or name in TAKEN or re.fullmatch(r"h\d+", name)
        names[value.name] = name if name.isidentifier() and not keyword.iskeyword(name) and not taken else f"part{i}"
    return names


def functions_in(text: str) -> list[str]:
    """The source of those of `numpy_functions` that a text calls, and of those that these call."""
    sources = {name: inspect.getsource(f) for name, f in vars(numpy_functions).items() if isinstance(f, FunctionType)}
    chosen: set[str] = set()
    while new := {name for name in sources.keys() - chosen if re.search(rf"(?<![\w.]){name}\(", text)}:
        chosen |= new
        text = "\n".join(sources[name] for name in new)
    return [source for name, source in sources.items() if name in chosen]
