"""Callbacks: what a training tells while it runs.

    on_start        when `learn` begins
    on_step         after each step of all environment copies
    on_update       after each iteration: a rollout with its epochs, or up to 1,000 off-policy steps
    on_evaluation   when somebody evaluated the agent (see rl/training/evaluations.py)
    on_end          when `learn` ends, for whatever reason

A callback of one's own overrides what it needs:

    class Patience(Callback):
        def on_update(self, agent, metrics):
            return metrics.get("episode_return", 0) < 200      # False ends the training
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from rl.experience.collector import Step

Function = Callable[[Any, dict[str, float]], bool | None]


class Callback:
    """Hears of a training. Its methods do nothing: override what is wanted.

    The three in the middle may answer: an answer that is false, but not None, ends the training.
    """

    def on_start(self, agent: Any) -> None:
        """Learning begins; it goes on to `agent.total_steps`."""

    def on_step(self, agent: Any, step: Step) -> bool | None:
        """All environment copies made a step. Off-policy, the updates that are due follow it."""

    def on_update(self, agent: Any, metrics: dict[str, float]) -> bool | None:
        """An iteration is over: its means, by name."""

    def on_evaluation(self, agent: Any, result: Mapping[str, np.ndarray]) -> bool | None:
        """The agent was evaluated: "return", "length" and more of each episode (E,), see `play`."""

    def on_end(self, agent: Any, error: BaseException | None) -> None:
        """Learning is over; `error` is what ended it early, such as KeyboardInterrupt."""


class FunctionCallback(Callback):
    """A function (agent, metrics), called after each iteration."""

    def __init__(self, function: Function):
        self.function = function

    def on_update(self, agent: Any, metrics: dict[str, float]) -> bool | None:
        return self.function(agent, metrics)


CallbackLike = Callback | Function | Iterable[Callback | Function] | None


class Callbacks(Callback):
    """Several callbacks in turn. All of them hear of everything, also when one ends the training.

    Attributes
    ----------
    stopped : bool
        Whether one of them ended the training.
    """

    def __init__(self, callbacks: Iterable[Callback] = ()):
        self.callbacks = list(callbacks)
        self.stopped = False
        self._each_step = [c for c in self.callbacks if type(c).on_step is not Callback.on_step]

    def on_start(self, agent: Any) -> None:
        for callback in self.callbacks:
            callback.on_start(agent)

    def on_step(self, agent: Any, step: Step) -> bool:
        return self._heard([c.on_step(agent, step) for c in self._each_step]) if self._each_step else not self.stopped

    def on_update(self, agent: Any, metrics: dict[str, float]) -> bool:
        return self._heard([callback.on_update(agent, metrics) for callback in self.callbacks])

    def on_evaluation(self, agent: Any, result: Mapping[str, np.ndarray]) -> bool:
        return self._heard([callback.on_evaluation(agent, result) for callback in self.callbacks])

    def on_end(self, agent: Any, error: BaseException | None) -> None:
        failed: list[BaseException] = []
        for callback in self.callbacks:
            try:
                callback.on_end(agent, error)
            except BaseException as failure:  # the others must end too
                failed.append(failure)
        if failed and error is None:
            raise failed[0]
        for one in failed if error is not None else ():
            error.add_note(f"besides, at its end: {type(one).__name__}: {one}")

    def _heard(self, answers: list[bool | None]) -> bool:
        self.stopped |= any(answer is not None and not bool(answer) for answer in answers)
        return not self.stopped


def callbacks_of(given: CallbackLike) -> list[Callback]:
    """A list of callbacks from whatever stands for one or several.

    Raises
    ------
    TypeError
        For anything else.
    """
    if given is None:
        return []
    if isinstance(given, Callback):
        return [given]
    if isinstance(given, list | tuple):
        return [callback for item in given for callback in callbacks_of(item)]
    if callable(given) and not isinstance(given, type):
        return [FunctionCallback(given)]
    hint = f", and not its class: {given.__name__}(…)" if isinstance(given, type) else ""
    raise TypeError(f"expected callback as a Callback, a function (agent, metrics), or a list of these{hint}, given {given!r:.80}")
