"""Pictures that are drawn when the site is built, as SVG in the page: readable on a light and on a dark page."""

import io
import re
from html import escape
from types import ModuleType

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepnp.cases import tupled
from deepnp.optim import cosine, exponential, linear, one_cycle, step

INK = "#808080"
BLUE, ORANGE = "#4c72d9", "#d9822b"


_LEARNED = np.array([0.25])
SHAPES = {  # of activations that have some
    "activation.prelu": dict(weight=_LEARNED),
    "activation.rrelu": dict(slopes=np.full(401, 0.25)),
    "activation.soft_plus_plus": dict(k=np.array([1.5]), c=np.array([8.0])),
}


def activation(name: str, op: ModuleType) -> str:
    """The curve and the slope of what acts on single numbers."""
    x = np.linspace(-4, 4, 401)
    y, cache = op.forward(x, **SHAPES.get(name, {}))
    slope = tupled(op.backward(np.ones_like(x), cache))[0]
    drawing = Figure((6, 3))
    axes = drawing.subplots()
    axes.plot(x, y, color=BLUE, label="y")
    axes.plot(x, slope, color=ORANGE, linestyle="--", label="slope y′")
    axes.axhline(0, color=INK, linewidth=0.5)
    axes.axvline(0, color=INK, linewidth=0.5)
    axes.set_xlabel("x", color=INK)
    finish(axes, legend=True)
    settings = "".join(f", {key} = {value[0]:g}" for key, value in SHAPES.get(name, {}).items())
    title = name.rpartition(".")[2].replace("_", " ")
    return framed(drawing, f"{title} and its slope over x from −4 to 4{settings}")


def draw_paths(axes: Axes, curvatures: np.ndarray, paths: dict[str, np.ndarray]) -> None:
    """Ways over ½ Σ curvature·x²: places (T, 2) by their names."""
    places = np.concatenate(list(paths.values()))
    low, high = places.min(axis=0) - 0.3, places.max(axis=0) + 0.3
    x, y = np.meshgrid(np.linspace(low[0], high[0], 60), np.linspace(low[1], high[1], 60))
    height = 0.5 * (curvatures[0] * x * x + curvatures[1] * y * y)
    axes.contour(x, y, np.sqrt(height), levels=8, colors=INK, linewidths=0.4)
    for (label, way), color in zip(paths.items(), (ORANGE, BLUE), strict=False):
        axes.plot(way[:, 0], way[:, 1], color=color, marker=".", markersize=3.5, linewidth=1, label=label)
    axes.plot(0, 0, "+", color=INK)
    finish(axes, legend=True)


def schedules() -> str:
    """A learning rate over training, by each schedule."""
    progress = np.linspace(0, 1, 201)
    named = {
        "linear": [linear(1.0, 0.1, p) for p in progress],
        "step": [step(1.0, 0.5, (0.3, 0.6, 0.9), p) for p in progress],
        "exponential": [exponential(1.0, 0.1, p) for p in progress],
        "cosine, 10 % warm-up": [cosine(1.0, 0.1, p, 0.1) for p in progress],
        "one cycle": [one_cycle(0.2, 1.0, 0.0, p) for p in progress],
    }
    drawing = Figure((6, 3))
    axes = drawing.subplots()
    for (label, values), color in zip(named.items(), (BLUE, ORANGE, "#3f9e63", "#c04b7a", "#8a63c9"), strict=True):
        axes.plot(progress, values, color=color, label=label)
    axes.set_xlabel("progress", color=INK)
    finish(axes, legend=True)
    return "## The curves\n\n" + framed(drawing, "the five schedules over training, from 1 to 0.1; one cycle from 0.2 to 1 to 0")


def finish(axes: Axes, legend: bool = False) -> None:
    """Colours that both schemes of the page leave readable."""
    axes.tick_params(colors=INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    if legend:
        axes.legend(frameon=False, labelcolor=INK)


def framed(drawing: Figure, label: str) -> str:
    """A figure with its caption, as HTML."""
    return framed_svg(svg(drawing), label)


def framed_svg(picture: str, label: str) -> str:
    """An SVG with its caption, as HTML."""
    said = escape(label)
    return f'<figure class="drawn" role="img" aria-label="{said}">{picture}<figcaption>{said}</figcaption></figure>\n'


def svg(drawing: Figure) -> str:
    """A figure as an SVG element, the same bytes for the same numbers."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "deepnp", "svg.fonttype": "none", "font.size": 9}):
        if all(axes.get_subplotspec() for axes in drawing.axes):  # others stand where they were put
            drawing.tight_layout()
        drawing.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S).replace("\n", " ")
