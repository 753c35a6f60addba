"""A training as a person starts it: with a progress line, written down, cleanly ended by Ctrl-C."""

from collections.abc import Mapping

from rl.agent import Agent
from rl.learning import is_done
from rl.runs.callbacks import Callback, CallbackLike, callbacks_of
from rl.runs.interrupt import Interrupt
from rl.runs.progress import SHOWN, ProgressBar
from rl.runs.run import Run
from rl.runs.stopping import end_soon


class _UntilInterrupted(Callback):
    def __init__(self, interrupt: Interrupt):
        self.interrupt = interrupt

    def on_update(self, agent, metrics) -> bool:
        return not self.interrupt.requested


def train(
    agent: Agent,
    run: Run,
    total_steps: int,
    shown: Mapping[str, str] = SHOWN,
    callback: CallbackLike = None,
    quiet: bool = False,
    on_nonfinite: str = "stop",
) -> bool:
    """Learn until the agent has taken `total_steps`, recorded for a later resume, and save it.

    Returns early, with a checkpoint, on Ctrl-C, SIGTERM and SIGHUP: off-policy after the present
    step, on-policy after the present iteration. A second Ctrl-C raises KeyboardInterrupt at the next
    such point, or after the checkpoint that is being written.

    Parameters
    ----------
    agent : Agent
    run : Run
        Where it is written down.
    total_steps : int
    shown : mapping of str to str
        Metric -> format, for the progress line.
    callback : Callback, callable, or a list of these
        As `learn` takes it.
    quiet : bool
        Print nothing.
    on_nonfinite : {"stop", "skip"}
        As `learn` takes it.

    Returns
    -------
    bool
        Whether it was left to its end.
    """
    if is_done(agent, total_steps):
        if not quiet:
            print(f"nothing to train: {agent.steps:,} {_taken(agent.steps, total_steps)}", flush=True)
        return True
    agent.safe_point.quiet = quiet
    with Interrupt(lambda: end_soon(agent)) as interrupt:
        callbacks = [*callbacks_of(callback), _UntilInterrupted(interrupt)]
        progress = False if quiet else ProgressBar(shown)
        agent.learn(total_steps, callbacks, progress=progress, log=run, on_nonfinite=on_nonfinite)
    if interrupt.requested and not quiet:
        print("stopped; what was learned so far is saved", flush=True)
    return not interrupt.requested


def _taken(steps: int, total_steps: int) -> str:
    if steps > total_steps:
        return f"steps were taken already, more than {total_steps:,}"
    return f"of {total_steps:,} steps were taken already"
