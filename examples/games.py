"""What the examples on games and bodies share: train, evaluate before and after, film."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from PIL import Image

import envs  # noqa: F401  (registers deepnp/…)
import rl
from examples.common import not_negative, positive
from rl.runs.record import read_config
from rl.runs.run import Run, new_folder
from rl.training.curves import plot_run
from rl.training.evaluation import evaluate, play
from rl.training.resume import load_agent
from rl.training.train import train
from rl.training.video import contact_sheet, film, save_gif

EPISODES, FILMED = 20, 5
UNSEEN = 10_000  # the first seed of episodes that no training begins with
FRAMES_PER_SECOND = 25


@dataclass(frozen=True)
class Game:
    """A game, how to learn it, and what a person wants to know of an episode.

    Attributes
    ----------
    name : str
        Of deepnp/<name>-v0.
    steps : int
        To learn for.
    settings : PPOConfig, SACConfig, …
        Of the algorithm.
    figure : str
        The environment's info, at an episode's end, that says how well it went.
    label : str
        Of that figure's axis.
    seconds : float
        To film.
    options : dict
        The environment's own.
    """

    name: str
    steps: int
    settings: Any
    figure: str
    label: str
    seconds: float = 12.0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"deepnp/{self.name}-v0"

    @property
    def algorithm(self) -> type[rl.Agent]:
        return rl.ALGORITHMS[self.settings.algorithm].cls

    def vector(self, copies: int) -> VectorEnv:
        """So many copies of the game."""
        same = {"autoreset_mode": AutoresetMode.SAME_STEP}
        return gymnasium.make_vec(self.id, copies, "vector_entry_point", **same, **self.options)


def learn(game: Game, doc: str, arguments: Sequence[str] | None = None) -> None:
    """Train an agent, or go on with one, or show one, as the command line says."""
    options = parse(game, doc, arguments)
    if options.play or options.resume:  # the same environment again, whatever its options were
        game = replace(game, options=read_config(options.play or options.resume).get("options", game.options))
    if options.play:
        agent, folder = load_agent(options.play), options.play
    else:
        with closing(game.vector(game.settings.num_envs)) as env:
            agent, folder = train_in(game, env, options)
    report(game, "trained", agent)
    picture(game, agent, folder, options.seed)


def train_in(game: Game, env: VectorEnv, options: argparse.Namespace) -> tuple[rl.Agent, Path]:
    """Begin or resume a run; the trained agent, and the run's folder."""
    if options.resume:
        agent = load_agent(options.resume, env)
        run = Run.resume(options.resume, agent)
        steps = options.steps or run.total_steps
    else:
        steps = options.steps or game.steps
        agent = game.algorithm(env, game.settings, seed=options.seed)
        folder = options.out or new_folder(Path("runs") / game.name.lower())
        run = Run(folder, agent, game.id, steps, options=game.options)
        report(game, "untrained", agent)
    print(f"training to {steps:,} steps; everything goes to {run.folder}/   (Ctrl-C ends early, and cleanly)", flush=True)
    shown = {"episode_return": "return {:.2f}", f"episode_{game.figure}": f"{game.figure} {{:.2f}}"}
    train(agent, run, steps, shown)
    curves = {"episode_return": "return while exploring", f"episode_{game.figure}": f"{game.label} while exploring"}
    plot_run(run.folder, curves, game.id)
    return agent, run.folder


def report(game: Game, name: str, agent: rl.Agent) -> None:
    """Print how well the agent does in games that it was not trained in."""
    with closing(game.vector(EPISODES)) as env:
        result = play(agent, env, EPISODES, seed=UNSEEN)
    figures = f"{game.label} {result[game.figure].mean():.2f}   return {result['return'].mean():.2f}"
    print(f"{name:>10}: {figures}   {result['length'].mean():.0f} steps  (mean of {EPISODES} deterministic episodes)", flush=True)


def picture(game: Game, agent: rl.Agent, folder: Path, seed: int) -> None:
    """Film the episode with the median return of a few into <name>.gif, and a strip of it into <name>.png."""
    with closing(gymnasium.make(game.id, render_mode="rgb_array", **game.options)) as env:
        returns = evaluate(agent, env, FILMED, seed + UNSEEN)
        median = int(np.argsort(returns)[FILMED // 2])
        frames = film(agent, env, seed + UNSEEN + median, game.seconds, FRAMES_PER_SECOND)
    name = game.name.lower()
    save_gif(folder / f"{name}.gif", frames, FRAMES_PER_SECOND, width=320)
    Image.fromarray(np.ascontiguousarray(contact_sheet(frames, 4))).save(folder / f"{name}.png")
    print(f"pictures of the median of {FILMED} episodes: {folder}/{name}.gif, {name}.png")


def parse(game: Game, doc: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=positive, help=f"environment steps (default {game.steps:,})")
    parser.add_argument("--seed", type=not_negative, default=0, help="of the agent and its games (default 0)")
    parser.add_argument("--play", type=Path, metavar="RUN", help="film the agent of a run's folder again")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped")
    parser.add_argument("--out", type=Path, help=f"the run's folder (default runs/{game.name.lower()}, …-2, …)")
    options = parser.parse_args(arguments)
    if options.resume and options.out:
        parser.error("--resume goes on with a run as it was begun: it does not take --out")
    return options
