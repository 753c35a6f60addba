"""What an exercise is: a function to write, the cases that it is tried on, and the right results.

An operation asks for `backward(dy, cache)`, a loss for the gradient of its value, and a
`FunctionExercise` for a function as it stands.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from deepnp.cases import differentiable, dot, draw, tupled, upstream

ABSENT = {"mask", "ignore_index"}  # arguments of losses that choose rows: nothing is learned from them


@dataclass(frozen=True)
class Trial:
    """One case with its numbers drawn.

    Attributes
    ----------
    drawn : dict
        The arguments of the forward pass.
    arguments, settings : tuple and dict
        What the reader's function is called with.
    outputs : tuple of str
        Names of what it shall return: "dx", "dgamma".
    expected : tuple of arrays
    value : callable or None
        Maps the index of an output and an array in place of its argument to the number that is
        differentiated; None where nothing is.
    """

    drawn: dict[str, Any]
    arguments: tuple
    outputs: tuple[str, ...]
    expected: tuple[np.ndarray, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    value: Callable[[int, np.ndarray], float] | None = None

    def call(self, function: Callable) -> Any:
        """What a function returns for these arguments."""
        return function(*self.arguments, **self.settings)


@dataclass(frozen=True)
class Exercise(ABC):
    """Something to derive by hand.

    Attributes
    ----------
    name : str
        "activation.tanh".
    module : module
        Where the library's own answer stands.
    solution : str
        The name of that answer in the module.
    cases : tuple of dict
        As in `deepnp.cases`.
    chapter : str
        The heading in the list.
    hints : tuple of str
        Steps to the answer; without them, those of the derivation.
    mistakes : tuple of (str, callable)
        Wrong answers with their words, beside those of deepnp/learn/mistakes.py: "where …".
    """

    name: str
    module: ModuleType
    solution: str
    cases: tuple[dict, ...]
    chapter: str
    hints: tuple[str, ...] = field(default=(), kw_only=True)
    mistakes: tuple[tuple[str, Callable], ...] = field(default=(), kw_only=True)

    @property
    def asked(self) -> str:
        """The name of the function that the reader writes."""
        return "backward"

    @property
    def short(self) -> str:
        """The last part of the name, which the reader's file is called."""
        return self.name.rsplit(".", 1)[-1]

    @property
    def text(self) -> str:
        """The derivation."""
        return inspect.getdoc(getattr(self.module, self.solution)) or ""

    @property
    def title(self) -> str:
        """The derivation's first sentence."""
        first = " ".join(self.text.split("\n\n")[0].split("\n"))
        return first.split("  ")[0].removesuffix(".")

    @abstractmethod
    def trial(self, case: dict, rng: np.random.Generator) -> Trial:
        """A case with its numbers drawn in float64."""

    @abstractmethod
    def answers(self, returned: Any) -> tuple[np.ndarray, ...]:
        """The outputs, from what the solution returns."""


@dataclass(frozen=True)
class OperationExercise(Exercise):
    """The backward pass of an operation: `backward(dy, cache)` -> one gradient an argument."""

    @property
    def text(self) -> str:
        return inspect.getdoc(self.module) or ""

    def trial(self, case: dict, rng: np.random.Generator) -> Trial:
        drawn = draw(case, rng)
        y, cache = self.module.forward(**drawn)
        dy, names = upstream(y, rng), differentiable(case)

        def value(i, x) -> float:
            return dot(dy, self.module.forward(**{**drawn, names[i]: x})[0])

        expected = tupled(self.module.backward(dy, cache))
        return Trial(drawn, (dy, cache), tuple(f"d{name}" for name in names), expected, value=value)

    def answers(self, returned: Any) -> tuple[np.ndarray, ...]:
        return tupled(returned)


@dataclass(frozen=True)
class LossExercise(Exercise):
    """The gradient of a loss: `backward(y, target, …)` -> one gradient for each of its first arguments."""

    def trial(self, case: dict, rng: np.random.Generator) -> Trial:
        drawn, loss = draw(case, rng), getattr(self.module, self.solution)
        expected = self.answers(loss(**drawn))
        names = differentiable(case)[: len(expected)]

        def value(i, x) -> float:
            return loss(**{**drawn, names[i]: x})[0]

        return Trial(drawn, (), tuple(f"d{name}" for name in names), expected, drawn, value)

    def answers(self, returned: Any) -> tuple[np.ndarray, ...]:
        return tupled(returned[1])


@dataclass(frozen=True)
class FunctionExercise(Exercise):
    """A function that is not a derivative, to be written as it stands."""

    outputs: tuple[str, ...] = ("result",)

    @property
    def asked(self) -> str:
        return self.solution

    @property
    def text(self) -> str:
        return f"{super().text}\n\n{inspect.getdoc(self.module)}"

    def trial(self, case: dict, rng: np.random.Generator) -> Trial:
        drawn = draw(case, rng)
        return Trial(drawn, (), self.outputs, self.answers(getattr(self.module, self.solution)(**drawn)), drawn)

    def answers(self, returned: Any) -> tuple[np.ndarray, ...]:
        return tupled(returned)


def of_losses(prefix: str, module: ModuleType, chapter: str) -> list[Exercise]:
    """An exercise for each loss in the CASES of a module, without the cases that leave rows out."""
    kept = {loss.__name__: tuple(case for case in cases if not ABSENT & set(case)) for loss, cases in module.CASES.items()}
    return [LossExercise(f"{prefix}.{name}", module, name, cases, chapter) for name, cases in kept.items()]
