"""The process of a job: `python -m rl.training.worker`, started by processes.py."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import deepnp
from rl.training.judging import play_episodes
from rl.training.processes import STOPPED
from rl.training.seeds import train_seed
from rl.training.trial import run_trial

WORK: Mapping[str, Callable[[dict[str, Any]], bool]] = MappingProxyType(
    {"seed": train_seed, "trial": run_trial, "episodes": play_episodes}
)


def main() -> None:
    """Do the job that comes as the first line of the standard input; the input's end is the request to end."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    sys.argv = job.pop("command")  # for the record
    deepnp.set_num_threads(job.pop("threads"))
    done = WORK[job.pop("work")](job)
    sys.exit(0 if done else STOPPED)


def _end_with_the_input() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock the interpreter wants at its end
        pass
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
