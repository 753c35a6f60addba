"""Callbacks that end a training: when it is good enough, when it gets no better, when a signal asks for it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.config import whole_number
from rl.runs.callbacks import Callback
from rl.runs.interrupt import SIGNALS, Interrupt


class StopOnReturn(Callback):
    """Ends the training when the mean return has reached `threshold`.

    Parameters
    ----------
    threshold : float
    of : {"evaluation", "training"}
        The mean return of an evaluation's episodes, or of those that ended in an iteration, while
        exploring. The first needs somebody who evaluates: `Evaluations`.
    """

    def __init__(self, threshold: float, of: str = "evaluation"):
        if not isinstance(threshold, int | float | np.number) or not np.isfinite(threshold):
            raise ValueError(f"expected threshold as a finite number, given {threshold!r}")
        if of not in ("evaluation", "training"):
            raise ValueError(f'expected of as "evaluation" or "training", given {of!r}')
        self.threshold, self.of = float(threshold), of

    def on_update(self, agent: Any, metrics: Mapping[str, float]) -> bool:
        return self.of != "training" or metrics.get("episode_return", -np.inf) < self.threshold

    def on_evaluation(self, agent: Any, result: Mapping[str, np.ndarray]) -> bool:
        return self.of != "evaluation" or float(np.mean(result["return"])) < self.threshold


class StopOnNoProgress(Callback):
    """Ends the training when so many evaluations in a row brought no better mean return.

    A resumed training counts anew.

    Parameters
    ----------
    evaluations : int
    least_steps : int
        Evaluations before this step do not count.
    """

    def __init__(self, evaluations: int, least_steps: int = 0):
        self.evaluations = whole_number("evaluations", evaluations, 1)
        self.least_steps = whole_number("least_steps", least_steps, 0)
        self.best, self.without = -np.inf, 0

    def on_evaluation(self, agent: Any, result: Mapping[str, np.ndarray]) -> bool:
        mean = float(np.mean(result["return"]))
        better, self.best = mean > self.best, max(mean, self.best)
        self.without = 0 if better or agent.steps < self.least_steps else self.without + 1
        return self.without < self.evaluations


class StopOnSignal(Callback):
    """Ends the training, with everything saved, on SIGTERM and SIGHUP: `docker stop`, Slurm, a closed terminal.

    The process ends then, as these signals ask, with the usual exit code, 128 and the signal's
    number. Inside an `Interrupt` block, as in `train`, only the training ends. An off-policy
    training ends after the present step, and so does a search (CEM, CMAES); an on-policy one ends
    after the present iteration. All go on from there exactly. Ctrl-C stays what it is.
    """

    def __init__(self) -> None:
        self._interrupt = Interrupt()

    def on_start(self, agent: Any) -> None:
        self._interrupt = Interrupt(lambda: end_soon(agent), SIGNALS[1:]).__enter__()

    def on_update(self, agent: Any, metrics: Mapping[str, float]) -> bool:
        return not self._interrupt.requested

    def on_end(self, agent: Any, error: BaseException | None) -> None:
        number = self._interrupt.number
        self._interrupt.__exit__()
        if number is not None:
            raise SystemExit(128 + number)


def end_soon(agent: Any) -> None:
    """Let a training end after the present step, where its iteration has no end of its own to come to."""
    if agent.takes.ends_anywhere:
        agent.callbacks.stopped = True
