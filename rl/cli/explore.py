"""`deepnp explore RUN…`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from rl.cli.plot import RUNS, check_some
from rl.cli.terminal import say
from rl.training.explorer import explore as write_page
from rl.training.groups import runs_of


def explore(runs: Annotated[Positional[tuple[Path, ...]], RUNS]) -> None:
    """Write a page into each run's folder: everything that it recorded, in curves and words.

    A browser opens explorer.html from the folder, without a server. It shows curves with what they
    should look like, the film if `deepnp play` made one, the settings, and the command that repeats
    the run. A training writes the page at its end; this writes it anew, also while a run is under
    way or after it was killed.
    """
    check_some(runs)
    for run in dict.fromkeys(found for path in runs for found in runs_of(path)):
        say(f"written: {write_page(run)}")
