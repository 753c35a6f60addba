"""Whole trainings as Ray tasks: seeds, trials of a sweep, evaluations."""

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import deepnp
from rl.cluster.ray_workers import need_ray
from rl.runs.interrupt import Interrupt
from rl.training.processes import POLL_SECONDS, STOPPED, Job
from rl.training.worker import WORK


class RayTasks:
    """Does jobs wherever Ray finds free cores: `train_seeds(…, runner=RayTasks())`.

    Folders must lie on a file system that all machines share, under the same path. A task whose
    machine dies is begun again elsewhere. It goes on from its latest checkpoint.

    Parameters
    ----------
    cores : float
        That each job takes.
    retries : int
        How often a job whose machine died is begun again.
    """

    def __init__(self, cores: float = 1.0, retries: int = 3):
        self.cores, self.retries = cores, retries

    def __call__(
        self, jobs: Sequence[Job], at_once: int, threads: int, watch: Callable[[], None] = lambda: None
    ) -> list[int | None]:
        """Do all jobs, as `run_jobs` does. Ray decides how many run at once; each has as many threads as cores."""
        ray = need_ray()
        task = ray.remote(num_cpus=self.cores, max_retries=self.retries)(do)
        threads = max(1, int(self.cores))
        places = [str(job.output.absolute()) for job in jobs]
        answers = [task.remote(job.work, dict(job.content), to, threads, sys.argv) for job, to in zip(jobs, places, strict=True)]
        with Interrupt() as interrupt:
            asked, waiting = False, list(answers)
            while waiting:
                if interrupt.requested and not asked:
                    asked = True
                    for answer in waiting:
                        ray.cancel(answer)
                _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=POLL_SECONDS)
                watch()
        return [self._code(ray, answer, job) for answer, job in zip(answers, jobs, strict=True)]

    def _code(self, ray, answer, job):
        try:
            return ray.get(answer)
        except ray.exceptions.TaskCancelledError:
            return STOPPED if job.output.exists() else None
        except ray.exceptions.RayError as error:  # what the job raised stands in its output already
            with open(job.output, "a") as output:
                output.write(f"{type(error).__name__}: the task did not come back\n")
            return 1


def do(work: str, content: dict[str, Any], output: str, threads: int, command: list[str]) -> int:
    """A job, in a worker's process; returns its exit code. `command` is what a run's record says that began it."""
    deepnp.set_num_threads(threads)
    sys.argv = command
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    with open(output, "a", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        try:
            return 0 if WORK[work](content) else STOPPED
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            return 1
