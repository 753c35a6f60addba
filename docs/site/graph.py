"""The graph of what a forward pass leaves for its backward pass, found by trying: what changes when something is changed."""

from html import escape
from typing import Any

import numpy as np

from deepnp.cases import draw, tupled, upstream
from docs.site.pictures import framed_svg
from docs.site.subjects import Subject
from docs.site.worked import SEED, small_case

WIDTH, BOX, ROW, TALL = 480, 136, 42, 30
COLUMNS = (0, (WIDTH - BOX) // 2, WIDTH - BOX)


def figure(name: str, subject: Subject) -> str:
    """The graph of the worked example: arguments, what the cache keeps of them, gradients."""
    arguments, fields, gradients = nodes(name, subject)
    if not fields:
        return ""
    edges_in, edges_out = edges(name, subject, arguments, fields)
    columns = [
        [(a, _shape(value), False) for a, value in arguments.items()],
        [(f, _shape(value), _is_argument(value, arguments)) for f, value in fields.items()],
        [(f"d{a}", _shape(gradient), False) for a, gradient in gradients.items()],
    ]
    drawn = _draw(columns, [(0, i, j) for i, j in edges_in] + [(1, i, j) for i, j in edges_out])
    label = "what the cache keeps between the two passes, in the worked example"
    said = (
        "From left to right: arguments, the cache's arrays, gradients. A dashed box is an argument itself; a full one is new."
        " A line was found by trying: with other numbers at its left end, those at its right end change.\n"
    )
    return f"## What is kept\n\n{said}\n{framed_svg(drawn, label)}"


def _given(name: str, subject: Subject) -> tuple[dict, dict[str, np.ndarray]]:
    """All arguments of the worked example, and those that are arrays of floats."""
    given = draw(small_case(name, subject), np.random.default_rng(SEED))
    return given, {key: value for key, value in given.items() if isinstance(value, np.ndarray)}


def nodes(name: str, subject: Subject) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, np.ndarray]]:
    """Arrays by their names: arguments, fields of the cache that hold some, and gradients."""
    given, arguments = _given(name, subject)
    y, cache = subject.module.forward(**given)
    kept = cache._asdict() if hasattr(cache, "_asdict") else {}
    fields = {key: value for key, value in kept.items() if _arrays(value)}
    gradients = subject.gradients(subject.module.backward, _upstream(y), given)
    differentiated = [key for key, value in arguments.items() if value.dtype.kind == "f"]
    return arguments, fields, dict(zip(differentiated, gradients, strict=False))


def edges(name: str, subject: Subject, arguments: dict, fields: dict) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Which argument changes which field, and which field changes which gradient."""
    given, _ = _given(name, subject)
    dy = _upstream(subject.module.forward(**given)[0])
    into = []
    for i, key in enumerate(arguments):
        changed = subject.module.forward(**{**given, key: _other(given[key])})[1]
        into += [(i, j) for j, field in enumerate(fields) if _differ(getattr(changed, field), fields[field])]
    right = tupled(subject.module.backward(dy, subject.module.forward(**given)[1]))
    out = []
    for i, field in enumerate(fields):
        fresh = subject.module.forward(**given)[1]
        changed = fresh._replace(**{field: _other(getattr(fresh, field))})
        try:
            with np.errstate(all="ignore"):
                wrong = tupled(subject.module.backward(dy, changed))
        except (IndexError, ValueError):  # an index that leads nowhere: it counts for all
            wrong = tuple(gradient + 1 for gradient in right)
        out += [(i, j) for j, (a, b) in enumerate(zip(right, wrong, strict=True)) if _differ(a, b)]
    return into, out


def _upstream(y) -> Any:
    return upstream(y, np.random.default_rng(SEED))


def _other(value) -> Any:
    """The same with other numbers, in every array that it holds."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "b":
            return ~value
        if value.dtype.kind in "iu":
            return value[::-1].copy() if value.shape[:1] > (1,) and (value != value[::-1]).any() else np.zeros_like(value)
        numbers = np.random.default_rng(SEED + 1)
        return value * numbers.uniform(-2, -0.5, value.shape) + numbers.normal(size=value.shape)
    if hasattr(value, "_asdict"):
        return type(value)(*(_other(part) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(_other(part) for part in value)
    return value


def _arrays(value) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value] if value.size and value.dtype != object else []
    return [array for part in value for array in _arrays(part)] if isinstance(value, tuple | list) else []


def _differ(a, b) -> bool:
    return any(x.shape != y.shape or not np.array_equal(x, y, equal_nan=True) for x, y in zip(_arrays(a), _arrays(b), strict=False))


def _is_argument(value, arguments: dict[str, np.ndarray]) -> bool:
    return isinstance(value, np.ndarray) and any(np.array_equal(value, other) for other in arguments.values())


def _shape(value) -> str:
    parts = _arrays(value)
    return "×".join(map(str, parts[0].shape)) if len(parts) == 1 else f"{sum(part.size for part in parts)} numbers"


def _draw(columns: list[list[tuple[str, str, bool]]], flows: list[tuple[int, int, int]]) -> str:
    tallest = max(map(len, columns))
    height = tallest * ROW

    def middle(column: int, i: int) -> float:
        return (i + 0.5 + (tallest - len(columns[column])) / 2) * ROW

    parts = []
    for column, i, j in flows:
        x, y, x2, y2 = COLUMNS[column] + BOX, middle(column, i), COLUMNS[column + 1], middle(column + 1, j)
        bend = (x2 - x) / 2
        curve = f"M{x} {y:.0f}C{x + bend:.0f} {y:.0f} {x2 - bend:.0f} {y2:.0f} {x2 - 1} {y2:.0f}"
        parts.append(f'<path class="flow" opacity="{0.45 if len(flows) > 30 else 1}" d="{curve}"/>')
    for column, boxes in enumerate(columns):
        for i, (title, shape, taken) in enumerate(boxes):
            top = middle(column, i) - TALL / 2
            kind = ("box", "box dashed" if taken else "box kept", "box")[column]
            parts.append(f'<rect class="{kind}" x="{COLUMNS[column] + 1}" y="{top:.0f}" width="{BOX - 2}" height="{TALL}" rx="4"/>')
            at = COLUMNS[column] + BOX / 2
            parts.append(
                f'<text x="{at:.0f}" y="{top + 20:.0f}" text-anchor="middle">{escape(title)} <tspan>{escape(shape)}</tspan></text>'
            )
    return f'<svg class="kept-graph" viewBox="0 0 {WIDTH} {height}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
