"""The operations of a graph as lines of Python, for NumPy.

A result that only the next operation of the same layer reads has no line of its own: it stands
where it is used.
"""

import inspect
import itertools
import keyword
import re
import textwrap
from collections import Counter
from types import FunctionType

from rl.training.export import numpy_functions
from rl.training.export.expressions import EXPRESSIONS
from rl.training.export.graph import Graph, Value

WIDTH = 96  # columns of a line inside a function, from which it is broken
SIGNS = {"Add", "Sub", "Mul", "Div", "Equal", "Greater", "MatMul", "Gemm"}  # written between their operands
CALLS = {"Clip", "Max", "Min", "Sqrt", "Log", "Sin", "Tanh", "Relu", "Sigmoid", "Softplus", "Erf", "Elu", "Softmax"}
CALLS |= {"LeakyRelu", "PRelu", "Conv", "MaxPool", "AveragePool", "Pad"}  # written as function(operands)
TAKEN = {"W", "np", *vars(numpy_functions)}  # no input may be called that


def function_of(graph: Graph, name: str, weights: str) -> str:
    """A function that does the graph's operations on rows; `weights` names the dictionary of its constants."""
    inputs = variables(graph.inputs)
    head = [
        f"def {name}({', '.join(inputs.values())}) -> np.ndarray:",
        f'    """Rows of observations -> rows of {", ".join(graph.outputs)}s."""',
    ]
    return "\n".join([*head, *(f"    {line}" for line in lines_of(graph, inputs, weights))])


def lines_of(graph: Graph, inputs: dict[str, str], weights: str) -> list[str]:
    """The statements of that function."""
    texts = inputs | {name: f'{weights}["{name}"]' for name in graph.constants}
    read = [(x.name, node.scope) for node in graph.nodes for x in node.inputs if isinstance(x, Value)]
    uses, scopes = Counter(name for name, _ in read), dict(read)
    kept, part = {value.name for value in graph.outputs.values()}, ""
    lines: list[str] = []
    signed: set[str] = set()  # of the texts, those that need brackets among others
    count = itertools.count(1)
    for node in graph.nodes:
        words = [in_words(x, texts) for x in node.inputs]
        if node.op not in CALLS:
            words = [f"({word})" if word in signed else word for word in words]
        name, text = node.output.name, EXPRESSIONS[node.op](*words, **node.settings)
        if uses[name] == 1 and scopes[name] == node.scope and len(text) < WIDTH // 2 and name not in kept:
            texts[name] = text
            if node.op in SIGNS:
                signed.add(text)
            continue
        texts[name] = f"h{next(count)}"
        if node.scope.split(".")[0] != part:
            part = node.scope.split(".")[0]
            lines.append(f"# {part}")
        lines += broken(texts[name], text, node.op in CALLS)
    results = (texts[value.name] for value in graph.outputs.values())
    return [*lines, f"return {', '.join(results)}"]


def in_words(operand: Value | float, texts: dict[str, str]) -> str:
    """An operand as it is written."""
    if isinstance(operand, Value):
        return texts[operand.name]
    return f"{operand:.9g}" if isinstance(operand, float) else repr(operand)


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
