"""The course of one `learn`: iterations until all steps are taken or a callback ends it, and what errors leave behind."""

import warnings
from typing import Any, Protocol

from deepnp import NonFiniteError
from rl.experience.collector import Collector, NonFiniteStep
from rl.experience.replay import ReplayMemory
from rl.interruption import SafePoint
from rl.losses.checks import check_arrays
from rl.runs.callbacks import Callbacks
from rl.state import Part


class Learner(Protocol):
    """What learns: an `Agent`."""

    steps: int
    total_steps: int
    collector: Collector | None
    callbacks: Callbacks
    safe_point: SafePoint

    @property
    def owes(self) -> bool: ...

    @property
    def offline(self) -> bool: ...

    def parts(self) -> dict[str, Part]: ...

    def iterate(self, total_steps: int) -> dict[str, float]: ...

    def begin_episodes(self) -> None: ...

    def forget_episodes(self) -> None: ...


def is_done(agent: Learner, total_steps: int) -> bool:
    """Whether all steps were taken, and everything was learned that they make due."""
    return agent.steps >= total_steps and not agent.owes


def is_over(agent: Learner, total_steps: int) -> bool:
    """Whether all was done before; a warning tells, as who counts steps anew at each `learn` would wonder."""
    if not is_done(agent, total_steps):
        return False
    counted = "steps are counted over the agent's whole life"
    warnings.warn(
        f"nothing to learn: {agent.steps:,} steps were taken already, given total_steps={total_steps:,}; {counted}", stacklevel=4
    )
    return True


def learn(agent: Learner, callbacks: Callbacks) -> None:
    """Iterate until `agent.steps` reaches `agent.total_steps`; the callbacks hear of all of it, of its end in any case."""
    error: BaseException | None = None
    agent.callbacks = callbacks
    try:
        callbacks.on_start(agent)
        while not is_done(agent, agent.total_steps) and not callbacks.stopped:
            if agent.collector is None and not agent.offline:  # at first, and after a callback played in our environment
                agent.begin_episodes()
            callbacks.on_update(agent, iterate(agent))
    except BaseException as caught:
        error = caught
        raise
    finally:
        agent.callbacks = Callbacks()
        try:
            callbacks.on_end(agent, error)
        finally:
            error = None  # its traceback holds this frame: a cycle would keep the callbacks alive


def check_parts(agent: Learner) -> None:
    """Raise NonFiniteError, naming the array, if a parameter or a moment is NaN or infinite: no step could mend that."""
    for name, thing in agent.parts().items():
        if not isinstance(thing, ReplayMemory):  # its numbers were checked when they came in
            check_arrays(name, thing.state_dict())


def iterate(agent: Learner) -> dict[str, Any]:
    """One iteration.

    After an error a step may be half done: the memory must not join what does not belong together. After Ctrl-C none is.
    """
    try:
        metrics = agent.iterate(agent.total_steps)
        check_parts(agent)
        return metrics
    except NonFiniteError as error:
        agent.forget_episodes()
        if isinstance(error, NonFiniteStep):
            check_parts(agent)  # the environment is at fault, and not what it was given
        raise type(error)(f"at step {agent.steps}: {error}") from error
    except BaseException:
        if not agent.safe_point.whole:
            agent.forget_episodes()
        raise
