"""The course of one `learn`: iterations until all steps are taken or a callback ends it, and what errors leave behind."""

from typing import Any, Protocol

from deepnp import NonFiniteError
from rl.experience.collector import Collector
from rl.runs.callbacks import Callbacks


class Learner(Protocol):
    """What learns: an `Agent`."""

    steps: int
    total_steps: int
    collector: Collector | None
    callbacks: Callbacks

    def iterate(self, total_steps: int) -> dict[str, float]: ...

    def begin_episodes(self) -> None: ...

    def forget_episodes(self) -> None: ...


def learn(agent: Learner, callbacks: Callbacks) -> None:
    """Iterate until `agent.steps` reaches `agent.total_steps`; the callbacks hear of all of it, of its end in any case."""
    error: BaseException | None = None
    agent.callbacks = callbacks
    try:
        callbacks.on_start(agent)
        while agent.steps < agent.total_steps and not callbacks.stopped:
            if agent.collector is None:  # at first, and after a callback played in the very environment that we learn in
                agent.begin_episodes()
            callbacks.on_update(agent, iterate(agent))
    except BaseException as caught:
        error = caught
        raise
    finally:
        agent.callbacks = Callbacks()
        callbacks.on_end(agent, error)


def iterate(agent: Learner) -> dict[str, Any]:
    """One iteration. After an error a step may be half done: the memory must not join what does not belong together."""
    try:
        return agent.iterate(agent.total_steps)
    except NonFiniteError as error:
        agent.forget_episodes()
        raise NonFiniteError(f"at step {agent.steps}: {error}") from error
    except BaseException:
        agent.forget_episodes()
        raise
