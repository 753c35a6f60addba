"""A training as a person starts it: with a progress line, written down, cleanly ended by Ctrl-C."""

from collections.abc import Mapping

from rl.agent import Agent
from rl.runs.callbacks import Callback, CallbackLike, callbacks_of
from rl.runs.interrupt import Interrupt
from rl.runs.progress import SHOWN, ProgressBar
from rl.runs.run import Run


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
) -> bool:
    """Learn until the agent has taken `total_steps`, recorded for a later resume, and save it.

    Returns early, between two iterations and with a checkpoint, on Ctrl-C, SIGTERM and SIGHUP. A
    second Ctrl-C raises KeyboardInterrupt at once, or after the checkpoint that is being written.

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

    Returns
    -------
    bool
        Whether it was left to its end.
    """
    if agent.steps >= total_steps:
        if not quiet:
            print(f"nothing to train: {agent.steps:,} of {total_steps:,} steps were taken already", flush=True)
        return True
    with Interrupt() as interrupt:
        callbacks = [*callbacks_of(callback), _UntilInterrupted(interrupt)]
        agent.learn(total_steps, callbacks, progress=False if quiet else ProgressBar(shown), log=run)
    if interrupt.requested and not quiet:
        print("stopped; what was learned so far is saved", flush=True)
    return not interrupt.requested
