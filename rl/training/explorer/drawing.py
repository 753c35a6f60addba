"""A chart as an SVG element: axes, lines, a band; its colours are the page's.

Shapes: K points of a line.
"""

import json
import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 56, 408, 12, 196  # of the plot, inside
MOST = 300  # points of a line: more are averaged
COLOURS = 8  # of lines, in the page's style


class Line(NamedTuple):
    """One line, steps (K,) and values (K,), with a band where there is one: low and high (K,)."""

    name: str
    steps: np.ndarray
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


class Axis(NamedTuple):
    """Where numbers stand on a line of pixels."""

    low: float
    high: float
    begin: float
    end: float
    logarithmic: bool = False

    def place(self, numbers: np.ndarray) -> np.ndarray:
        """Pixels of numbers; NaN where there is none."""
        with np.errstate(all="ignore"):
            numbers = np.log10(numbers) if self.logarithmic else np.asarray(numbers, float)
            share = (numbers - self.low) / (self.high - self.low)
            return np.where(np.isfinite(share), self.begin + share * (self.end - self.begin), np.nan)

    def ticks(self) -> list[float]:
        """Round numbers on it."""
        if self.logarithmic:
            exponents = np.arange(math.ceil(self.low), math.floor(self.high) + 1)
            return [10.0 ** int(n) for n in exponents[:: max(1, -(-len(exponents) // 5))]]
        raw = (self.high - self.low) / 4
        unit = 10.0 ** math.floor(math.log10(raw))
        step = unit * min((1, 2, 5, 10), key=lambda factor: abs(factor * unit - raw))
        count = math.floor(self.high / step) - math.ceil(self.low / step) + 1
        return [step * (math.ceil(self.low / step) + i) for i in range(count)]


def axis(numbers: np.ndarray, begin: float, end: float, logarithmic: bool = False) -> Axis:
    """An axis on which all finite numbers have a place; of positive ones alone where it is logarithmic."""
    known = numbers[np.isfinite(numbers) & (np.abs(numbers) < 1e300)]
    if logarithmic:
        known = np.log10(known[known > 0])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    flat = high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-300)
    margin = (abs(low) * 0.1 or 1.0) if flat else (high - low) * 0.05
    return Axis(low - margin, high + margin, begin, end, logarithmic)


def thinned(line: Line) -> Line:
    """The line with MOST points at most: means of neighbours, in a band from the smallest to the largest."""
    count = len(line.steps)
    if count <= MOST:
        return line
    starts = np.linspace(0, count, MOST, endpoint=False).astype(int)
    known = np.isfinite(line.values)
    number = np.add.reduceat(known.astype(int), starts)
    with np.errstate(all="ignore"):
        values = np.add.reduceat(np.where(known, line.values, 0.0), starts) / number
    low = np.minimum.reduceat(np.where(known, line.values if line.low is None else line.low, np.inf), starts)
    high = np.maximum.reduceat(np.where(known, line.values if line.high is None else line.high, -np.inf), starts)
    ends = np.append(starts[1:], count) - 1
    return Line(line.name, line.steps[ends], np.where(number > 0, values, np.nan), low, high)


def chart(lines: Sequence[Line], label: str, logarithmic: bool = False) -> str:
    """Lines over steps. `label` is what a screen reader says."""
    lines = [thinned(line) for line in lines]
    x = axis(np.concatenate([line.steps for line in lines]), LEFT, RIGHT)
    edges = [e for line in lines for e in (line.values, line.low, line.high) if e is not None]
    y = axis(np.concatenate(edges), BOTTOM, TOP, logarithmic)
    drawn = [_band(line, x, y, i) + _line(line, x, y, i) for i, line in enumerate(lines)]
    points = [[line.name, _numbers(x.place(line.steps)), _numbers(line.steps), _numbers(line.values)] for line in lines]
    data = escape(json.dumps(points, separators=(",", ":")))
    return _svg(x, y, "steps", "".join(drawn) + '<path class="cursor" d=""/>', label, f' data-lines="{data}"')


def scatter(across: np.ndarray, up: np.ndarray, label: str, across_name: str, up_name: str) -> str:
    """Points (K,), (K,), on axes of the same numbers, with the diagonal."""
    both = np.concatenate([across, up])
    x, y = axis(both, LEFT, RIGHT), axis(both, BOTTOM, TOP)
    places = zip(x.place(across).tolist(), y.place(up).tolist(), strict=True)
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5"/>' for a, b in places if math.isfinite(a + b))
    diagonal = f'<path class="diagonal" d="M{LEFT} {BOTTOM}L{RIGHT} {TOP}"/>'
    name = f'<text x="{LEFT + 4}" y="{TOP + 10}">{escape(up_name)}</text>'
    return _svg(x, y, across_name, f'{diagonal}<g class="dots">{dots}</g>{name}', label)


def number_text(number: float) -> str:
    """A number as a person reads it: 1,234,567 or 0.00123 or 1.2e-7."""
    if not math.isfinite(number):
        return "none" if math.isnan(number) else ("∞" if number > 0 else "−∞")
    size = abs(number)
    if size >= 1e7 or 0 < size < 1e-4:
        return f"{number:.3g}"
    return f"{number:,.0f}" if size >= 1000 or number == int(number) else f"{number:.4g}"


def _svg(x: Axis, y: Axis, x_name: str, content: str, label: str, more: str = "") -> str:
    grid = []
    for tick, place in zip(y.ticks(), y.place(np.array(y.ticks())).tolist(), strict=True):
        grid.append(f'<path class="grid" d="M{LEFT} {place:.1f}H{RIGHT}"/>')
        grid.append(f'<text class="end" x="{LEFT - 6}" y="{place + 4:.1f}">{_tick(tick)}</text>')
    for tick, place in zip(x.ticks(), x.place(np.array(x.ticks())).tolist(), strict=True):
        grid.append(f'<text class="middle" x="{place:.1f}" y="{BOTTOM + 16}">{_tick(tick)}</text>')
    name = f'<text class="end" x="{RIGHT}" y="{HEIGHT - 4}">{escape(x_name)}</text>'
    opening = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}"{more}>'
    return f'{opening}{"".join(grid)}<path class="frame" d="M{LEFT} {BOTTOM}H{RIGHT}"/>{name}{content}</svg>'


def _tick(number: float) -> str:
    """A round number in few signs."""
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if unit <= abs(number) < 1e12:
            return f"{number / unit:.4g}{sign}"
    return f"{number:.4g}" if abs(number) > 1e-12 else "0"


def _line(line: Line, x: Axis, y: Axis, i: int) -> str:
    """Pieces between missing numbers; a dot where a piece is one point, or the line is short."""
    across, up = x.place(line.steps), y.place(line.values)
    known = np.isfinite(up)
    commands, dots, pen = [], [], False
    for n in range(len(up)):
        if not known[n]:
            pen = False
            continue
        commands.append(f"{'L' if pen else 'M'}{across[n]:.1f} {up[n]:.1f}")
        alone = not pen and (n + 1 == len(up) or not known[n + 1])
        if alone or len(up) <= 30:
            dots.append(f'<circle cx="{across[n]:.1f}" cy="{up[n]:.1f}" r="2"/>')
        pen = True
    return f'<g class="line l{i % COLOURS}"><path d="{"".join(commands)}"/>{"".join(dots)}</g>'


def _band(line: Line, x: Axis, y: Axis, i: int) -> str:
    if line.low is None or line.high is None:
        return ""
    across, low, high = x.place(line.steps), y.place(line.low), y.place(line.high)
    known = np.isfinite(low) & np.isfinite(high)
    if known.sum() < 2:
        return ""
    there = [f"{a:.1f} {b:.1f}" for a, b in zip(across[known], high[known], strict=True)]
    back = [f"{a:.1f} {b:.1f}" for a, b in zip(across[known][::-1], low[known][::-1], strict=True)]
    return f'<path class="band b{i % COLOURS}" d="M{"L".join(there + back)}Z"/>'


def _numbers(values: np.ndarray) -> list[float | None]:
    """As JSON knows them, in six digits."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values.tolist()]
