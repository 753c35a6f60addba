"""Teach a body to walk: PPO on deepnp/Walker-v0, from nothing.

    python examples/train_walker.py                     train for about ten minutes on two cores
    python examples/train_walker.py --quick             250,000 steps: its first ones
    python examples/train_walker.py --play runs/walker      film a trained one again
    python examples/train_walker.py --resume runs/walker    go on where a run was stopped

Writes runs/<name>/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, walker.gif and .png.
Ctrl-C ends cleanly, with a checkpoint and the pictures of what was learned so far.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import gymnasium
import numpy as np
from PIL import Image

import envs  # noqa: F401  (registers deepnp/Walker-v0)
from examples.common import not_negative, positive, run
from rl import PPO, PPOConfig
from rl.runs.run import Run, new_folder
from rl.training.curves import plot_run
from rl.training.evaluation import play
from rl.training.resume import load_agent
from rl.training.train import train
from rl.training.video import contact_sheet, film, save_gif

ENV = "deepnp/Walker-v0"
EPISODES = 20
DECISIONS_PER_SECOND = 25
SHOWN = {"episode_return": "return {:.2f}", "episode_distance": "distance {:.1f} m", "kl": "KL {:.3f}"}
CURVES = {"episode_distance": "distance while exploring (m)", "episode_length": "decisions before falling (25 a second)"}

# What made this walk; docs/results/walker.md tells what else was tried.
WALKER = dict(steps=32, batch_size=512, epochs=5, lr=3e-4, hidden=(256, 128), initial_sigma=0.5, mirror=True, target_kl=0.05)


def main() -> None:
    options = parse()
    if options.play:
        agent = load_agent(options.play)
        report("trained", play(agent, ENV, EPISODES))
        picture(agent, options.play, options.seed)
        return
    agent, run, steps = resumed(options) if options.resume else begun(options)
    print(f"training to {steps:,} steps; everything goes to {run.folder}/   (Ctrl-C ends early, and cleanly)")
    train(agent, run, steps, SHOWN)
    plot_run(run.folder, CURVES, ENV)
    report("trained", play(agent, ENV, EPISODES))
    picture(agent, run.folder, options.seed)


def begun(options: argparse.Namespace) -> tuple[PPO, Run, int]:
    """A new agent, its run, and how many steps it is to take."""
    steps = options.steps or (250_000 if options.quick else 2_000_000)
    agent = PPO(ENV, PPOConfig(num_envs=options.num_envs, **WALKER), seed=options.seed)
    run = Run(options.out or new_folder(Path("runs") / "walker"), agent, ENV, steps)
    report("untrained", play(agent, ENV, EPISODES))
    return agent, run, steps


def resumed(options: argparse.Namespace) -> tuple[PPO, Run, int]:
    """The agent of a run that was stopped, the run, and how many steps it is to take in all."""
    agent = load_agent(options.resume, ENV)
    run = Run.resume(options.resume, agent)
    return agent, run, options.steps or run.total_steps


def report(name: str, result: dict[str, np.ndarray]) -> None:
    """Print how far the agent walks."""
    metres, seconds = result["distance"].mean(), result["length"].mean() / DECISIONS_PER_SECOND
    print(f"{name:>10}: {metres:6.2f} m in {seconds:4.1f} s  (mean of {EPISODES} deterministic episodes)", flush=True)


def picture(agent: PPO, folder: Path, seed: int) -> None:
    """Film an episode into walker.gif, and a strip of it into walker.png."""
    env = gymnasium.make(ENV, render_mode="rgb_array")
    frames = film(agent, env, seed + 1000, seconds=4, fps=DECISIONS_PER_SECOND)
    env.close()
    save_gif(folder / "walker.gif", frames, fps=DECISIONS_PER_SECOND, width=280)
    middle = len(frames) // 2
    Image.fromarray(contact_sheet(frames[middle : middle + 11], 6)).save(folder / "walker.png")  # about one cycle of the gait
    print(f"pictures: {folder}/walker.gif, walker.png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=positive, help="environment steps (default 2,000,000; 250,000 with --quick)")
    parser.add_argument("--seed", type=not_negative, default=0, help="of the agent and its world (default 0)")
    parser.add_argument("--num-envs", type=positive, default=64, help="walkers at once (default 64)")
    parser.add_argument("--quick", action="store_true", help="an eighth of the steps")
    parser.add_argument("--play", type=Path, metavar="RUN", help="film the agent of a run's folder again")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped")
    parser.add_argument("--out", type=Path, help="the run's folder (default runs/walker, runs/walker-2, …)")
    options = parser.parse_args()
    if options.resume and (options.out or options.quick):
        parser.error("--resume goes on with a run as it was begun: it takes neither --out nor --quick")
    return options


if __name__ == "__main__":
    run(main)
