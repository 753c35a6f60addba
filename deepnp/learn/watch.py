"""What a reader's function calls while it runs: the library's own backward pass is not an answer."""

import re
import sys
from collections.abc import Container
from types import CodeType, FrameType

import numpy as np

from deepnp.backend import Kernel
from deepnp.cases import draw
from deepnp.learn.exercise import Exercise, OperationExercise

ANSWERS = re.compile("backward|jvp|tangent|gradient|derivative")
DIFFERENTIATORS = {"torch", "jax", "autograd", "tensorflow"}
LIBRARY = ("deepnp", "rl")


class Watch:
    """A context in which calls are looked at.

    Parameters
    ----------
    exercise : Exercise
    allowed : container of code objects
        Of the library.
    """

    def __init__(self, exercise: Exercise, allowed: Container[CodeType]):
        self.own, self.allowed = exercise.module.__name__, allowed
        self.forwards, self.complaint = 0, ""

    def __enter__(self) -> "Watch":
        self._before = sys.getprofile()
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_) -> None:
        sys.setprofile(self._before)
        if self.forwards > 1 and not self.complaint:
            self.complaint = f"it calls `forward` {self.forwards} times: a numerical derivative is no derivation"

    def _look(self, frame: FrameType, event: str, _) -> None:
        if event != "call":
            return
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        package = module.split(".")[0]
        if name == "forward" and (package not in LIBRARY or module == self.own):
            self.forwards += 1
        if package in DIFFERENTIATORS:
            self.complaint = f"it calls {package}, which differentiates: write the derivative yourself"
        elif name == "__call__" and isinstance(called := frame.f_locals.get("self"), Kernel):
            self._judge(called.__name__, called.function.__code__, "backward" in called.__name__)
        elif package in LIBRARY and not name.startswith(("<", "check_")):
            self._judge(name, frame.f_code, module == self.own or bool(ANSWERS.search(name)))

    def _judge(self, name: str, code: CodeType, answer: bool) -> None:
        if answer and code not in self.allowed:
            self.complaint = self.complaint or f"it calls `{name}` of the library, which is part of the library's own answer"


def called_by_forward(exercise: Exercise) -> set[CodeType]:
    """The code that the forward pass of an operation runs, over all cases. A loss's own code is its answer."""
    seen: set[CodeType] = set()
    if isinstance(exercise, OperationExercise):
        before = sys.getprofile()
        sys.setprofile(lambda frame, event, _: seen.add(frame.f_code) if event == "call" else None)
        try:
            for case in exercise.cases:
                exercise.module.forward(**draw(case, np.random.default_rng(0)))
        finally:
            sys.setprofile(before)
    return seen
