"""`deepnp plot RUN…`, `deepnp results RUN…` and `deepnp compare RUN RUN`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from rl.cli.terminal import complain, say
from rl.cli.usage import Usage
from rl.training.compare import compare as compare_runs
from rl.training.compare import print_comparison
from rl.training.plots import plot_runs
from rl.training.results import NOT_EVALUATED, results_table

RUN = "a run's folder, or a folder of runs that differ in their seeds"


RUNS = arg(metavar="RUN ...", help="folders of runs, or folders of such folders", help_behavior_hint="(required)")
METRIC = arg(metavar="NAME", help="a column of progress.csv", help_behavior_hint="(default: the evaluations' returns)")
OUT = arg(metavar="FILE", help="ends in .svg, .png or .pdf, or has no ending: then .svg and .png")


def plot(
    runs: Annotated[Positional[tuple[Path, ...]], RUNS],
    metric: Annotated[str | None, METRIC] = None,
    out: Annotated[Path, OUT] = Path("curves"),
    title: Annotated[str | None, arg(metavar="TEXT", help="above the panels", help_behavior_hint="")] = None,
) -> None:
    """Draw learning curves: for each algorithm and settings the interquartile mean over seeds, with its 95 % interval.

    Environments get a panel each. Runs that were not evaluated are drawn by their returns while
    exploring.
    """
    check_some(runs)
    say(f"drawn: {', '.join(map(str, plot_runs(out, runs, metric, title)))}")


def results(runs: Annotated[Positional[tuple[Path, ...]], RUNS]) -> None:
    """Print a table of results in Markdown: task, algorithm, steps, seeds, return, minutes, command.

    A line is an algorithm with its settings in an environment. Its return is the interquartile mean
    over seeds of the last evaluations' mean returns, with its 95 % interval.
    """
    check_some(runs)
    table = results_table(runs)
    say(table.rstrip("\n"))
    if NOT_EVALUATED in table:
        complain("hint: `deepnp train … --eval-every STEPS` evaluates")


def check_some(runs: tuple[Path, ...]) -> None:
    """Raise Usage where no run is named."""
    if not runs:
        raise Usage("expected the folders of one or more runs, given none")


def compare(a: Annotated[Path, arg(help=RUN)], b: Annotated[Path, arg(help=RUN)]) -> None:
    """Show how two runs differ: settings, versions and hardware, the first update that differs, and which is better."""
    print_comparison(compare_runs(a, b), str(a), str(b))
