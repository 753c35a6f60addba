"""Pictures of operations over positions: which cells a result depends on, which keys a query looks at, how positions are marked."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
from matplotlib.figure import Figure

from deepnp.ops.attention import scaled_dot_product
from deepnp.ops.convolution import Window
from deepnp.ops.convolution.border_pad import reflected, replicated
from docs.site.pictures import finish, framed

SIZE = 9  # cells along an image of the pictures
_ONE = np.ones((1, 1, 3, 3))
CONVOLUTIONS = {
    "3 × 3": [dict(window=Window((3, 3), padding=1))],
    "dilation 2": [dict(window=Window((3, 3), padding=2, dilation=2))],
    "two layers": [dict(window=Window((3, 3), padding=1))] * 2,
    "stride 2, then 3 × 3": [dict(window=Window((3, 3), padding=1, stride=2)), dict(window=Window((3, 3), padding=1))],
}
POOLS = {
    "2 × 2, stride 2": dict(window=Window((2, 2), stride=2)),
    "3 × 3, stride 1": dict(window=Window((3, 3))),
    "3 × 3, dilation 2": dict(window=Window((3, 3), dilation=2)),
}
_MIDDLE_SAID = "Shaded is what the middle cell of the result depends on: the cells where its gradient is not zero."
_COUNT_SAID = "The gradient of the sum of all results: how often a cell of the input is read, or what share it has."


def figure(name: str, op: ModuleType) -> str:
    """The picture of an operation of the folders convolution, attention and embedding; nothing where none helps."""
    if name in ("convolution.conv", "convolution.fft_conv"):
        panels = {title: receptive_field(op, layers) for title, layers in CONVOLUTIONS.items()}
        return _shown(panels, "Receptive field", _MIDDLE_SAID, _cells)
    if name == "convolution.conv_transpose":
        shown = {f"stride {s}": footprint(op, Window((3, 3), stride=s)) for s in (1, 2, 3)}
        return _shown(shown, "What one cell reaches", "The results that the middle cell of a 3 × 3 input enters.", _cells)
    if name in ("convolution.max_pool", "convolution.avg_pool"):
        panels = {title: of_all(op, _image(), **settings) for title, settings in POOLS.items()}
        return _shown(panels, "Where the gradient goes", _COUNT_SAID, _cells)
    if name in ("convolution.adaptive_max_pool", "convolution.adaptive_avg_pool"):
        panels = {f"to {n} × {n}": of_all(op, _image(), size=[n, n]) for n in (2, 4, 5)}
        return _shown(panels, "Where the gradient goes", _COUNT_SAID, _cells)
    if name == "convolution.border_pad":
        panels = {s.__name__: of_all(op, _image(5), padding=[(2, 2), (2, 2)], source=s) for s in (reflected, replicated)}
        return _shown(panels, "Where the gradient goes", _COUNT_SAID, _cells)
    if name.startswith("attention."):
        held = "" if name.endswith(".scaled_dot_product") else " This operation holds one block (lines) at a time, never all."
        said = "The weights A of 8 queries (rows) for 8 keys (columns): each row sums to 1; masked entries are white." + held
        return _shown(attention_patterns(), "Attention pattern", said, _blocks if held else _cells)
    if name == "embedding.sinusoidal":
        table = {"48 positions, 16 channels": op.forward(np.zeros((48, 16)))[0].T}
        return _shown(table, "The table", "What is added: channels (rows) over positions (columns), between −1 and 1.", _cells)
    if name == "embedding.rotary":
        turned = op.forward(np.tile(np.random.default_rng(0).normal(size=16), (24, 1)))[0]
        said = "⟨q, k⟩ of one vector at 24 positions, as query (rows) and as key (columns): it depends on the distance alone."
        return _shown({"24 positions": turned @ turned.T}, "Products of turned vectors", said, _cells)
    return ""


def _image(size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, 1, size, size))


def receptive_field(op: ModuleType, layers: list[dict]) -> np.ndarray:
    """Where the gradient of the middle result is not zero, through several convolutions of ones: (SIZE, SIZE)."""
    x, caches = np.ones((1, 1, SIZE, SIZE)), []
    for settings in layers:
        x, cache = op.forward(x, _ONE, None, **settings)
        caches.append(cache)
    dy = np.zeros_like(x)
    dy[0, 0, x.shape[2] // 2, x.shape[3] // 2] = 1
    for cache in reversed(caches):
        dy = op.backward(dy, cache)[0]
    return (np.abs(dy[0, 0]) > 1e-9) * 1.0


def footprint(op: ModuleType, window: Window) -> np.ndarray:
    """Which results one cell in the middle of a 3 × 3 input enters."""
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 1
    return op.forward(x, _ONE, None, window)[0][0, 0]


def of_all(op: ModuleType, x: np.ndarray, **settings) -> np.ndarray:
    """The gradient of the sum of all results."""
    y, cache = op.forward(x, **settings)
    return op.backward(np.ones_like(y), cache)[0, 0]


def attention_patterns() -> dict[str, np.ndarray]:
    """Weights (8, 8) without a mask, causal, and with two keys of padding."""
    rng = np.random.default_rng(2)
    q, k, v = rng.normal(size=(3, 8, 4))
    padding = np.where(np.arange(8) < 6, 0.0, -np.inf)[None]
    named: dict[str, dict] = {"all keys": {}, "causal": dict(causal=True), "two keys of padding": dict(mask=padding)}
    return {title: scaled_dot_product.forward(1.5 * q, k, v, **settings)[1].weights for title, settings in named.items()}


def _shown(panels: dict[str, np.ndarray], title: str, said: str, draw: Callable) -> str:
    drawing = Figure((2.2 * max(len(panels), 2), 2.5))
    for axes, (label, numbers) in zip(drawing.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        draw(axes, numbers)
        axes.set_title(label, fontsize=8)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.set_xticks([])
        axes.set_yticks([])
        finish(axes)
    label = f"{title.lower()}: {'; '.join(panels)}"
    return f"## {title}\n\n{said}\n\n{framed(drawing, label)}"


def _cells(axes, numbers: np.ndarray) -> None:
    top = np.abs(numbers).max()
    kind = dict(cmap="Blues", vmin=0.0, vmax=top) if numbers.min() >= 0 else dict(cmap="RdBu", vmin=-top, vmax=top)
    axes.pcolormesh(numbers, edgecolors="#80808060", linewidth=0.3, **kind)


def _blocks(axes, numbers: np.ndarray) -> None:
    _cells(axes, numbers)
    for edge in (3, 6):
        axes.axhline(edge, color="#d9822b", linewidth=1)
        axes.axvline(edge, color="#d9822b", linewidth=1)
