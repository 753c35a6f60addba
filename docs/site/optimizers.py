"""The page of one optimizer: its rule, its code, steps by hand beside the library's, and its path on a small quadratic."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from itertools import islice

import numpy as np
from matplotlib.figure import Figure

from deepnp.optim import Optimizer
from deepnp.parameters import Parameter, ParameterVector
from docs.site import by_hand, derivations, parts, pictures
from docs.site.links import Links, relative

MODULES = [
    "sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam", "radam", "adabelief", "adan", "lion", "muon",
    "optimizer", "clip", "decay", "schedules", "polyak",
]  # fmt: skip
METHODS = ("constants", "step", "_orthogonal", "_decay")  # what of an optimizer is shown
STEPS = 4
BEGIN = {"muon": np.array([[1.0, 0.5], [0.0, 2.0]])}  # the others begin with one number, 1
SETTINGS: dict[str, dict] = {"sgd": dict(momentum=0.9), "adadelta": dict(lr=1.0)}
PATH = 60  # steps of the picture
PATH_LR = {"sgd": 0.02, "adadelta": 1.0, "rmsprop": 0.05, "lion": 0.05, "adan": 0.05, "muon": 0.05, "adagrad": 0.4}
CURVATURES = np.array([1.0, 10.0])
START = np.array([-2.5, 1.0])


def page_of(module: str) -> str:
    """The page of a module of deepnp.optim."""
    return f"optimizers/{module}.md"


def optimizer_of(module: str) -> Callable[..., Optimizer] | None:
    """The optimizer that a module is about, or None where it is about something else."""
    home = sys.modules[f"deepnp.optim.{module}"]
    classes = [c for c in vars(home).values() if isinstance(c, type) and issubclass(c, Optimizer) and c.__module__ == home.__name__]
    return next((c for c in classes if c is not Optimizer), None)


def pages(links: Links) -> dict[str, str]:
    """All pages, and their index."""
    return {"optimizers/index.md": _index(), **{page_of(module): _page(module, links) for module in MODULES}}


def _index() -> str:
    rows = [f"- [{_doc(module).title}]({module}.md)" for module in MODULES]
    return (
        """# Optimizers

What is done with a gradient. A model's parameters lie in one flat vector and its gradients in another, so an optimizer is a
formula over vectors. Read them in this order: each takes something from those above it.

"""
        + "\n".join(rows)
        + "\n"
    )


def _doc(module: str) -> derivations.Docstring:
    return derivations.split(inspect.getdoc(sys.modules[f"deepnp.optim.{module}"]) or "")


def _page(module: str, links: Links) -> str:
    home, here, doc = sys.modules[f"deepnp.optim.{module}"], page_of(module), _doc(module)
    file = links.page_of(f"deepnp/optim/{module}.py")
    fast = "; a fast kernel below it computes the same" if "kernel" in inspect.getsource(home) else ""
    reference = relative(f"reference/deepnp.optim.{module}.md", here)
    sections = [
        f"---\ntitle: {title(module)}\nhide: [toc]\n---\n",
        f"# {doc.title}\n",
        f"`{home.__name__}`. [Arguments and errors]({reference}).\n",
        f"## The rule\n\n{derivations.html(derivations.mathematics(doc.body))}\n",
        _steps(module),
        pictures.schedules() if module == "schedules" else _picture(module),
        f"## The code\n\nThe plain form, from [the file]({relative(file, here)}){fast}.\n\n```python\n{code(module)}\n```\n",
    ]
    found = parts.papers(inspect.getdoc(home) or "")
    return "\n".join([*filter(None, sections), "## Papers\n\n" + "\n".join(found) + "\n" if found else ""])


def title(module: str) -> str:
    """What a page is called in the menu."""
    optimizer = optimizer_of(module)
    return getattr(optimizer, "__name__", module.capitalize())


def code(module: str) -> str:
    """The plain functions of a file and, of an optimizer, its constants and steps; docstrings are on the reference's page."""
    text = inspect.getsource(sys.modules[f"deepnp.optim.{module}"])
    shown = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list and not node.name.startswith("_fast"):
            shown.append(_undocumented(text, node))
        if isinstance(node, ast.ClassDef):
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and m.name in METHODS]
            shown += [textwrap.dedent(_undocumented(text, method)) for method in methods]
    return "\n\n\n".join(shown)


def _undocumented(text: str, function: ast.FunctionDef) -> str:
    lines = text.splitlines()
    kept = set(range(function.lineno, (function.end_lineno or 0) + 1))
    first = function.body[0]
    if ast.get_docstring(function) and len(function.body) > 1:
        kept -= set(range(first.lineno, (first.end_lineno or 0) + 1))
    return "\n".join(lines[n - 1] for n in sorted(kept))


def made(module: str, begin: np.ndarray, **settings) -> tuple[Parameter, Optimizer]:
    """One parameter, and the optimizer of a module over it."""
    optimizer = optimizer_of(module)
    if optimizer is None:
        raise ValueError(f"expected the module of an optimizer, given {module!r}")
    parameter = Parameter(begin.copy())
    return parameter, optimizer(ParameterVector({"theta": parameter}), **settings)


def worked(module: str) -> tuple[list[dict], list[np.ndarray]]:
    """Steps by hand, and θ after each step of the library: both minimise Σθ², whose gradient is 2θ."""
    begin = BEGIN.get(module, np.array([1.0]))
    parameter, optimizer = made(module, begin, **{"lr": 0.1, **SETTINGS.get(module, {})})
    start = begin if module in BEGIN else float(begin[0])
    by_hand_steps = list(islice(getattr(by_hand, module)(start, lambda theta: 2 * theta), STEPS))
    reached = []
    for _ in range(STEPS):
        parameter.grad[...] = 2 * parameter.data
        optimizer.step()
        reached.append(parameter.data.copy())
    return by_hand_steps, reached


def _steps(module: str) -> str:
    if optimizer_of(module) is None:
        return ""
    steps, reached = worked(module)
    names = list(steps[0])
    rows = [
        [str(t), *(_cell(step[name]) for name in names), _cell(theta), f"{np.abs(step['θ'] - theta).max():.0e}"]
        for t, (step, theta) in enumerate(zip(steps, reached, strict=True), 1)
    ]
    head = ["t", *names, "θ of the library", "difference"]
    what = "a matrix" if module in BEGIN else "one number"
    return f"""## Steps by hand

Written out for {what} in plain Python, which minimises the sum of θ², so that g = 2θ:

```python
{inspect.getsource(getattr(by_hand, module)).strip()}
```

{parts.table(head, rows, "steps by hand beside the library's")}"""


def _cell(value) -> str:
    return parts.array(value) if np.ndim(value) == 2 else f"{float(np.squeeze(value)):.6g}"


def path(module: str, **settings) -> np.ndarray:
    """Places (PATH + 1, 2) on the way of an optimizer over ½(x² + 10y²)."""
    begin = START[None] if module == "muon" else START  # Muon is made for matrices: here for one row
    parameter, optimizer = made(module, begin, **settings)
    places = [parameter.data.ravel().copy()]
    for _ in range(PATH):
        parameter.grad[...] = CURVATURES * parameter.data
        optimizer.step()
        places.append(parameter.data.ravel().copy())
    return np.array(places)


def _picture(module: str) -> str:
    if optimizer_of(module) is None:
        return ""
    lr = PATH_LR.get(module, 0.15)
    named = {f"{title(module)}, α = {lr:g}": path(module, **{**SETTINGS.get(module, {}), "lr": lr})}
    plain = {"gradient descent, α = 0.05": path("sgd", lr=0.05)}
    drawing = Figure((6, 3.2))
    pictures.draw_paths(drawing.subplots(), CURVATURES, {**plain, **named})
    label = f"{PATH} steps of {title(module)} on ½(x² + 10y²), beside plain gradient descent"
    return f"## A path\n\n{pictures.framed(drawing, label)}"
