"""Pictures of operations, drawn when the site is built: the curve and the slope of what acts on single numbers."""

import io
import re
from types import ModuleType

import matplotlib
import numpy as np
from matplotlib.figure import Figure

_INK = "#808080"  # readable on a light and on a dark page


def figure(name: str, op: ModuleType) -> str:
    """A figure for the operation's page, or nothing."""
    x = np.linspace(-4, 4, 401)
    if (
        not name.startswith("activation.")
        or set(op.CASES[0]) != {"x"}
        or name in ("activation.softmax", "activation.log_softmax", "activation.glu")
    ):
        return ""
    y, cache = op.forward(x)
    slope = op.backward(np.ones_like(x), cache)
    drawing = Figure((6, 3))
    axes = drawing.subplots()
    axes.plot(x, y, color="#4c72d9", label="y")
    axes.plot(x, slope, color="#d9822b", linestyle="--", label="slope y′")
    axes.axhline(0, color=_INK, linewidth=0.5)
    axes.axvline(0, color=_INK, linewidth=0.5)
    axes.set_xlabel("x", color=_INK)
    axes.tick_params(colors=_INK)
    for spine in axes.spines.values():
        spine.set_color(_INK)
    axes.legend(frameon=False, labelcolor=_INK)
    title = f"{name.rpartition('.')[2].replace('_', ' ')} and its slope over x from −4 to 4"
    return f'<figure class="drawn" role="img" aria-label="{title}">{_svg(drawing)}<figcaption>{title}</figcaption></figure>\n'


def _svg(drawing: Figure) -> str:
    """A figure as an SVG element, the same bytes for the same numbers."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "deepnp", "svg.fonttype": "none", "font.size": 9}):
        drawing.tight_layout()
        drawing.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S).replace("\n", " ")
