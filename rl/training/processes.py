"""Several jobs at once, each in a process of its own.

A process is another interpreter, never a fork: native threads would not follow into one. It reads
its job, one line of JSON, from its standard input (see worker.py), and takes the input's end as the
request to end: so it ends cleanly when its parent does, in whatever way the parent ends.
"""

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deepnp
from rl.runs.interrupt import Interrupt

POLL_SECONDS = 0.1
STOPPED = 3  # the exit code of a worker that was asked to end before its time
TAIL = 4096  # bytes of an output that are looked at


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Attributes
    ----------
    work : str
        A name in `rl.training.worker.WORK`.
    content : mapping
        As JSON knows it.
    output : Path
        The file for whatever the worker prints.
    """

    work: str
    content: Mapping[str, Any]
    output: Path


Runner = Callable[[Sequence[Job], int, int, Callable[[], None]], list[int | None]]


def shares(jobs: int, at_once: int | None) -> tuple[int, int]:
    """How many processes run at once, and how many threads each of them gets.

    By default as many processes as there are jobs and threads (`deepnp.get_num_threads`).
    """
    threads = deepnp.get_num_threads()
    at_once = min(jobs, threads) if at_once is None else at_once
    return at_once, max(1, threads // max(1, at_once))


def run_jobs(jobs: Sequence[Job], at_once: int, threads: int, watch: Callable[[], None] = lambda: None) -> list[int | None]:
    """Do all jobs, `at_once` at a time; a job that fails leaves the others alone.

    Ctrl-C, SIGTERM and SIGHUP ask all workers to end, and wait for that; a second Ctrl-C kills
    them.

    Parameters
    ----------
    jobs : sequence of Job
    at_once, threads : int
        Processes, and threads of each.
    watch : callable
        Called every 0.1 s.

    Returns
    -------
    list of int or None
        The exit code of each job: 0 where it was done, STOPPED where it was asked to end, None
        where it never began.
    """
    codes: list[int | None] = [None] * len(jobs)
    waiting, running = deque(range(len(jobs))), {}
    with Interrupt() as interrupt:
        try:
            while waiting or running:
                if interrupt.requested:
                    waiting.clear()
                    for process in running.values():
                        _ask_to_end(process)
                while waiting and len(running) < at_once:
                    running[waiting[0]] = _start(jobs[waiting[0]], threads)
                    waiting.popleft()
                for i in [i for i, process in running.items() if process.poll() is not None]:
                    codes[i] = _code(running.pop(i), interrupt.requested)
                watch()
                time.sleep(POLL_SECONDS)
        finally:
            for process in running.values():
                process.kill()
                _ask_to_end(process)
                process.wait()
    return codes


def failures(jobs: Sequence[Job], codes: Sequence[int | None]) -> dict[int, str]:
    """Index of each job that failed -> the last line that it printed."""
    failed = {i: code for i, code in enumerate(codes) if code not in (0, None, STOPPED)}
    return {i: last_line(jobs[i].output) or f"exit code {code}" for i, code in failed.items()}


def last_line(output: Path) -> str:
    """The last line that a worker printed; empty if it printed none."""
    if not output.is_file():
        return ""
    with open(output, "rb") as file:
        file.seek(max(0, output.stat().st_size - TAIL))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _start(job: Job, threads: int) -> subprocess.Popen:
    """A new interpreter with our paths, in a session of its own: the terminal's Ctrl-C reaches us alone."""
    job.output.parent.mkdir(parents=True, exist_ok=True)
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)
    with open(job.output, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rl.training.worker"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
        )
    with suppress(BrokenPipeError):  # it is gone already: its exit code tells
        process.stdin.write(json.dumps({"work": job.work, "threads": threads, "command": sys.argv, **job.content}).encode() + b"\n")
        process.stdin.flush()
    return process


def _ask_to_end(process: subprocess.Popen) -> None:
    with suppress(BrokenPipeError):
        process.stdin.close()


def _code(process: subprocess.Popen, requested: bool) -> int:
    """How a process that has ended did: one that was asked to end before it could hear of it was stopped, too."""
    _ask_to_end(process)
    return STOPPED if requested and process.returncode < 0 else process.returncode
