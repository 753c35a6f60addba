"""What `train` and `resume` share: a training with evaluations and an end that says what came of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import arg

import rl
from rl.algorithms.replay_config import ReplayConfig
from rl.cli import environments
from rl.cli.terminal import complain, say
from rl.cli.usage import STOPPED, Usage
from rl.config import whole_number
from rl.runs.callbacks import Callback
from rl.runs.run import Run, read_progress
from rl.runs.stopping import StopOnNoProgress, StopOnReturn
from rl.training.curves import plot_run
from rl.training.evaluations import Evaluations
from rl.training.explorer import explore_at_end
from rl.training.insides import Insides
from rl.training.train import train
from rl.training.value_check import ValueCheck, check_values


@dataclass(frozen=True)
class Watching:
    """Evaluations while training, what they may end, and what is recorded besides."""

    eval_every: Annotated[
        int | None, arg(metavar="INT", help="steps between evaluations", help_behavior_hint="(default: no evaluations)")
    ] = None
    eval_episodes: Annotated[int, arg(help="episodes of an evaluation")] = 10
    stop_return: Annotated[
        float | None, arg(metavar="FLOAT", help="end when an evaluation's mean return reaches this", help_behavior_hint="")
    ] = None
    patience: Annotated[
        int | None, arg(metavar="INT", help="end after so many evaluations without a better one", help_behavior_hint="")
    ] = None
    insides_every: Annotated[
        int | None, arg(metavar="INT", help="iterations between records of gradient norms and activations", help_behavior_hint="")
    ] = None
    values_every: Annotated[
        int | None,
        arg(metavar="INT", help="steps between records of values against the returns that followed", help_behavior_hint=""),
    ] = None

    def check(self, steps: int) -> None:
        """Raise Usage for options that would do nothing in a training of so many steps."""
        if self.eval_every is None and (self.stop_return is not None or self.patience is not None):
            raise Usage("expected --eval-every with --stop-return and --patience: they look at evaluations")
        for option, every in (("--eval-every", self.eval_every), ("--values-every", self.values_every)):
            if every is not None and not 1 <= every <= steps:
                raise Usage(f"expected {option} from 1 to the number of steps, {steps:,}, given {every:,}")
        try:
            whole_number("--eval-episodes", self.eval_episodes, 1)
            whole_number("--patience", 1 if self.patience is None else self.patience, 1)
            whole_number("--insides-every", 1 if self.insides_every is None else self.insides_every, 1)
            StopOnReturn(0.0 if self.stop_return is None else self.stop_return)
        except ValueError as error:
            raise Usage(str(error)) from error

    def check_agent(self, agent: rl.Agent, env: str) -> None:
        """Raise Usage for records that this agent has nothing for."""
        if self.values_every is not None:
            try:
                check_values(agent, env)
            except (TypeError, ValueError) as error:
                raise Usage(f"--values-every: {error}") from error

    def callbacks(self, run: Run, env: str, env_settings: Mapping[str, Any]) -> list[Callback]:
        """What does it."""
        found: list[Callback] = [] if self.insides_every is None else [Insides(self.insides_every, run.folder)]
        if self.eval_every is None and self.values_every is None:
            return found
        spec = environments.spec_of(env, env_settings)
        if self.values_every is not None:
            found.append(ValueCheck(run.folder, spec, self.values_every))
        if self.eval_every is not None:
            found.append(Evaluations(run.folder, spec, self.eval_every, self.eval_episodes))
        if self.stop_return is not None:
            found.append(StopOnReturn(self.stop_return))
        if self.patience is not None:
            found.append(StopOnNoProgress(self.patience))
        return found


def learn(
    agent: rl.Agent,
    run: Run,
    env: str,
    env_settings: Mapping[str, Any],
    steps: int,
    watching: Watching,
    quiet: bool,
    on_nonfinite: str = "stop",
) -> int:
    """Train to so many steps in all; returns the exit code."""
    start, begun = time.monotonic(), agent.steps
    callbacks = watching.callbacks(run, env, env_settings)
    silent = quiet or begun >= steps  # then there is nothing to tell but that
    if not silent:
        say(f"training {agent.config.algorithm} in {env} to {steps:,} steps (Ctrl-C ends early, and cleanly)")
    warmup = agent.config.warmup if isinstance(agent.config, ReplayConfig) else 0
    if begun < steps <= warmup:
        complain(f"warning: actions are random for the first {warmup:,} steps (--warmup): in {steps:,} nothing is learned")
    if not silent and _replays_large_errors_at_the_usual_rate(agent):
        lower = f"--lr {agent.config.lr / 4:g}"
        complain(f"hint: replay by priority makes larger steps; a quarter of the learning rate suits it: {lower}")
    try:
        finished = train(agent, run, steps, callback=callbacks, quiet=quiet, on_nonfinite=on_nonfinite)
    finally:
        run.close()
        if agent.steps > begun:
            explore_at_end(run.folder)
    if begun >= steps and not quiet:
        say(f"to go on: deepnp resume {run.folder} --steps {2 * begun}")
    if agent.steps > begun:
        _draw_curve(run, f"{agent.config.algorithm} in {env}")
    if not silent:
        say(f"{agent.steps - begun:,} steps in {_duration(time.monotonic() - start)}; everything is in {run.folder}")
        say(f"  deepnp {'play' if finished else 'resume'} {run.folder}")
    return 0 if finished else STOPPED


def _draw_curve(run: Run, title: str) -> None:
    """learning_curve.svg and .png in the run's folder, if an episode has ended; a training is no failure for a lack of them."""
    try:
        if "episode_return" in read_progress(run.folder):
            plot_run(run.folder, {"episode_return": "return of an episode, while training"}, title)
    except OSError as error:
        complain(f"warning: no learning curve in {run.folder}: {error}")


def _replays_large_errors_at_the_usual_rate(agent):
    c = agent.config
    return isinstance(c, ReplayConfig) and c.priority_exponent > 0 and c.lr == type(c).lr


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
