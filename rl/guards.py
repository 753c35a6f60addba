"""What becomes of a training step whose loss or gradient is NaN or infinite.

Every learner checks both before it takes a step, so a bad step is never taken: the check raises
NonFiniteError instead. Here is what follows from that: the training stops, or the step is left out.

Only steps can be left out. An environment that returns NaN goes on computing with it, and a vector
environment cannot begin one copy anew; a parameter that is NaN stays so. All these end a training.
Where the environment is at fault, the agent is good, and a run saves it as it was before that step.
"""

import warnings
from collections.abc import Callable
from typing import TypeVar

from deepnp import NonFiniteError

Result = TypeVar("Result")
ANSWERS = ("stop", "skip")


class Guard:
    """Takes steps, and knows what to do when one cannot be taken.

    Parameters
    ----------
    on_nonfinite : {"stop", "skip"}
        Let the error through, or leave the step out and count it. The first one is warned of.

    Raises
    ------
    ValueError
        For any other word.
    """

    def __init__(self, on_nonfinite: str = "stop"):
        if on_nonfinite not in ANSWERS:
            raise ValueError(f'expected on_nonfinite as "stop" or "skip", given {on_nonfinite!r:.80}')
        self.skips = on_nonfinite == "skip"
        self._left_out: list[str] = []  # two threads may append to it at once
        self._warned = False

    def attempt(self, step: Callable[..., Result], *arguments: object) -> Result | None:
        """What `step(*arguments)` returns; None where it was left out."""
        try:
            return step(*arguments)
        except NonFiniteError as error:
            if not self.skips:
                raise
            self._left_out.append(str(error))
            if not self._warned:
                self._warned = True
                warnings.warn(f"a training step was left out: {error}", stacklevel=2)
            return None

    def report(self) -> dict[str, float]:
        """How many steps were left out since the last report, as a metric; nothing where none may be."""
        count, self._left_out = len(self._left_out), []
        return {"skipped": float(count)} if self.skips else {}
