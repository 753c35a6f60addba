"""The tables of the experiments, as Markdown."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.experiments.experiment import Experiment
from benchmarks.experiments.records import MEASURED, Table

LEFT_OUT = "spread", "worst"


def figure_text(value: float) -> str:
    """Three digits, or whole numbers from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def score_text(scores: Sequence[float]) -> str:
    """The mean over seeds, its standard error where there are several."""
    error = np.std(scores, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else None
    return figure_text(float(np.mean(scores))) + ("" if error is None else f" ± {figure_text(float(error))}")


def table(experiment: Experiment, rows: Table) -> str:
    """One line for each task and variant that has a finished training: means over the seeds."""
    shown = [
        name for name in MEASURED if name not in LEFT_OUT and any(name in m for seeds in rows.values() for m in seeds.values())
    ]
    lines = [f"| task | variant | seeds | {' | '.join(shown)} |", "|---|---|---|" + "---|" * len(shown)]
    for task in experiment.tasks:
        for variant in experiment.variants:
            if (variant, task) in rows:
                cells = (_cell(rows[variant, task], name) for name in shown)
                lines.append(f"| {task} | {variant} | {len(rows[variant, task])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(seeds: Mapping[int, Mapping[str, float]], name: str) -> str:
    known = [measured[name] for measured in seeds.values() if name in measured]
    if not known:
        return ""
    return score_text(known) if name == "score" else figure_text(float(np.mean(known)))
