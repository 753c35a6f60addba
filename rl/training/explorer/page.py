"""The page: one HTML file that opens from a folder, needs no server, and loads nothing.

Whatever a run's files say is escaped, and the page's policy lets no script run but its own.
"""

import base64
import hashlib
import os
import warnings
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import numpy as np

from deepnp.storage import write_atomically
from rl.runs.table import KEY
from rl.training.evaluations import EVALUATIONS
from rl.training.explorer.charts import Chart, charts_of
from rl.training.explorer.drawing import COLOURS, Line, chart, number_text, scatter
from rl.training.explorer.reading import Found, read
from rl.training.explorer.settings import command_of, settings_of, surroundings_of, text_of
from rl.training.explorer.words import SECTIONS

PAGE = "explorer.html"
LARGEST_FILM = 4_000_000  # bytes that are put into the page; a larger film is a link
ROWS = 12  # of a chart's table of numbers
WITHOUT_INSIDES = (
    "Nothing was recorded here. <code>deepnp train … --insides-every 10</code>, or the callback "
    "<code>rl.training.insides.Insides</code>, records gradient norms and activations."
)


def explore(folder: str | os.PathLike) -> Path:
    """Write a run's page, explorer.html, and return its path.

    Works while the run is under way, and on one that was killed. A table that is damaged is shown
    as far as it can be read; the page says what is missing, and so does a warning.

    Parameters
    ----------
    folder : path
        Of the run.

    Raises
    ------
    FileNotFoundError
        If it holds no run.
    ValueError
        If its config.json is damaged.
    """
    found = read(folder)
    for problem in found.problems:
        warnings.warn(f"{found.folder}: {problem}", stacklevel=2)
    text = page_of(found).encode()
    write_atomically(found.folder / PAGE, lambda file: file.write(text))
    return found.folder / PAGE


def explore_at_end(folder: str | os.PathLike) -> None:
    """As `explore`, at the end of a training: that is no failure for the lack of a page, so errors become a warning."""
    try:
        explore(folder)
    except (OSError, ValueError) as error:
        warnings.warn(f"no {PAGE}: {error}", stacklevel=2)


def page_of(found: Found) -> str:
    """The page's HTML."""
    title = escape(f"{found.record['algorithm']} in {found.record['env']}")
    parts = _sections(found)
    links = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, heading, _ in parts)
    body = "".join(f'<section id="{name}"><h2>{heading}</h2>{content}</section>' for name, heading, content in parts)
    style, script = _asset("page.css"), _asset("page.js")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">'
        f"<title>{title}</title><style>{style}</style></head><body><header><h1>{title}</h1>{_summary(found)}{_problems(found)}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header><main>{body}</main><script>{script}</script></body></html>\n'
    )


def _policy(style: str, script: str) -> str:
    """No page but this file's own style and script, pictures and films that are in it, and nothing else."""
    own_style, own_script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    sources = f"style-src 'sha256-{own_style}'; script-src 'sha256-{own_script}'"
    return f"default-src 'none'; {sources}; img-src data:; media-src data:; base-uri 'none'; form-action 'none'"


@cache
def _asset(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _summary(found: Found) -> str:
    record, total = found.record, found.record["total_steps"]
    known = isinstance(total, int) and not isinstance(total, bool)
    rows = [("seed", text_of(record["seed"])), ("begun", text_of(record.get("date", "–")))]
    rows.append(("steps", f"{found.steps:,} of {total:,}" if known else f"{found.steps:,}"))
    if known and found.steps < total:
        rows.append(("state", f"under way, or stopped; to go on: deepnp resume {found.folder}"))
    if EVALUATIONS in found.tables and "mean" in found.tables[EVALUATIONS]:
        columns = found.tables[EVALUATIONS]
        means = np.where(np.isfinite(columns["mean"]), columns["mean"], -np.inf)
        best = int(np.argmax(means))
        rows.append(("last evaluation", number_text(float(columns["mean"][-1]))))
        rows.append(("best evaluation", f"{number_text(float(means[best]))}, at step {columns[KEY][best]:,.0f}"))
    return _pairs(rows)


def _problems(found: Found) -> str:
    items = "".join(f"<li>{escape(problem)}</li>" for problem in found.problems)
    return f'<div class="problems"><p>What could not be read is left out:</p><ul>{items}</ul></div>' if items else ""


def _sections(found: Found) -> list[tuple[str, str, str]]:
    """The sections that have something to show: name, heading, content."""
    charts = charts_of(found)
    parts = []
    for name, heading in SECTIONS.items():
        cards = "".join(_card(one) for one in charts if one.words.section == name)
        if cards:
            parts.append((name, heading, f'<div class="charts">{cards}</div>'))
        elif name == "inside":
            parts.append((name, heading, f"<p>{WITHOUT_INSIDES}</p>"))
    if not charts:
        parts.insert(0, ("returns", SECTIONS["returns"], "<p>No row of numbers was written yet.</p>"))
    if found.film is not None:
        parts.append(("film", "The film", _film(found.film, found.folder)))
    return [*parts, ("settings", "Settings", _settings(found))]


def _card(one: Chart) -> str:
    last = "; ".join(f"{line.name} {_span(line)}" for line in one.lines[:COLOURS])
    label = f"{one.words.title}. {last}"
    if one.scatter:
        drawn = scatter(one.lines[0].steps, one.lines[0].values, label, "discounted return", "value")
    else:
        drawn = chart(one.lines, label, one.logarithmic) + '<p class="readout"></p>'
    key = "".join(f'<li class="k{i % COLOURS}">{escape(line.name)}</li>' for i, line in enumerate(one.lines))
    key = f'<ul class="key">{key}</ul>' if len(one.lines) > 1 else ""
    meaning = f"<p>{escape(one.words.meaning)}</p>" if one.words.meaning else ""
    expected = f'<p class="expected">{escape(one.words.expected)}</p>' if one.words.expected else ""
    numbers = "" if one.scatter else _table(one.lines, one.words.title)
    return f'<article class="card"><h3>{escape(one.words.title)}</h3>{drawn}{key}{meaning}{expected}{numbers}</article>'


def _span(line: Line) -> str:
    known = line.values[np.isfinite(line.values)]
    if not known.size:
        return "has no number"
    low, high, last = (number_text(float(x)) for x in (known.min(), known.max(), known[-1]))
    return f"from {low} to {high}, at the end {last}"


def _table(lines: Sequence[Line], title: str) -> str:
    """Some of the numbers, for who does not see the chart, or has no pointer."""
    steps = lines[0].steps
    rows = np.unique(np.linspace(0, len(steps) - 1, min(ROWS, len(steps))).astype(int))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("step", *(line.name for line in lines)))
    body = ""
    for i in rows.tolist():
        cells = "".join(f"<td>{number_text(float(line.values[i]))}</td>" for line in lines)
        body += f'<tr><th scope="row">{number_text(float(steps[i]))}</th>{cells}</tr>'
    named = f'tabindex="0" role="region" aria-label="Numbers: {escape(title)}"'
    content = f'<div class="table" {named}><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return f"<details><summary>Numbers</summary>{content}</details>"


def _film(path: Path, folder: Path) -> str:
    place = path.relative_to(folder).as_posix()
    name, link = escape(place), f'<p><a href="{quote(place)}">{escape(place)}</a></p>'
    if path.stat().st_size > LARGEST_FILM:
        return link
    data = base64.b64encode(path.read_bytes()).decode()
    if path.suffix.lower() == ".mp4":
        return f'<video class="film" controls src="data:video/mp4;base64,{data}"></video>{link}'
    return f'<img class="film" alt="The agent at work: {name}" src="data:image/gif;base64,{data}">{link}'


def _settings(found: Found) -> str:
    changed, usual = settings_of(found.record)
    command = command_of(found.record)
    again = f"<h3>To repeat it</h3><pre><code>{escape(command)}</code></pre>" if command else ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td><td>{escape(default)}</td></tr>'
        for name, value, default in changed
    )
    head = '<thead><tr><th scope="col">setting</th><th scope="col">here</th><th scope="col">by default</th></tr></thead>'
    changes = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else "<p>All are the algorithm's own.</p>"
    others = f"<details><summary>The other settings</summary>{_pairs(usual)}</details>"
    around = f"<details><summary>Environment, versions, hardware</summary>{_pairs(surroundings_of(found.record))}</details>"
    return f"{again}<h3>Settings that were changed</h3>{changes}{others}{around}"


def _pairs(rows: Sequence[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in rows)}</dl>"
