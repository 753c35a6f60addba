"""A training as a person starts it: with a progress line, written down, cleanly ended by Ctrl-C."""

from rl.agent import Agent, Callback
from rl.training.interrupt import Interrupt
from rl.training.progress import ProgressBar
from rl.training.run import Run


def train(agent: Agent, run: Run, total_steps: int, shown: dict[str, str], *callbacks: Callback) -> bool:
    """Learn until the agent has taken `total_steps`, recorded for a later resume, and save it.

    Returns early, between two iterations and with a checkpoint, on Ctrl-C, SIGTERM and SIGHUP. A
    second Ctrl-C raises KeyboardInterrupt at once, or after the checkpoint that is being written.

    Parameters
    ----------
    agent : Agent
    run : Run
        Where it is written down.
    total_steps : int
    shown : dict of str to str
        Metric -> format, for the progress line.
    *callbacks : callable
        As `learn` takes them, called after each iteration.

    Returns
    -------
    bool
        Whether it was left to its end.
    """
    if agent.steps >= total_steps:
        print(f"nothing to train: {agent.steps:,} of {total_steps:,} steps were taken already", flush=True)
        return True
    run.extend(total_steps)
    with Interrupt() as interrupt:
        with ProgressBar(total_steps, shown) as bar:
            agent.learn(total_steps, in_turn(bar, run, *callbacks, lambda agent, metrics: not interrupt.requested))
        run.save(agent)
    if interrupt.requested:
        print("stopped; what was learned so far is saved", flush=True)
    return not interrupt.requested


def in_turn(*callbacks: Callback) -> Callback:
    """One callback that calls all of several, and stops the training when one asks for it."""

    def call_all(agent, metrics):
        answers = [callback(agent, metrics) for callback in callbacks]
        return all(answer is None or bool(answer) for answer in answers)

    return call_all
