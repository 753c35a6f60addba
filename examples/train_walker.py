"""Teach a body to walk: PPO on deepnp/Walker-v0, from nothing.

    python examples/train_walker.py                 train for about a quarter of an hour on two cores
    python examples/train_walker.py --quick         a minute: it will not walk yet, but no longer just topples
    python examples/train_walker.py --play runs/walker      film a trained one again

Writes runs/<name>/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, walker.gif.
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
from rl import PPO, PPOConfig
from rl.training.curves import plot_run
from rl.training.evaluation import play
from rl.training.progress import ProgressBar
from rl.training.run import Run
from rl.training.video import contact_sheet, film, save_gif

ENV = "deepnp/Walker-v0"
EPISODES = 20
SHOWN = {"episode_return": "return {:.2f}", "episode_distance": "distance {:.1f} m", "kl": "KL {:.3f}"}


def main() -> None:
    options = parse()
    if options.play:
        agent = PPO.load(options.play / "checkpoints" / "last.safetensors")
        report(agent, None)
        picture(agent, options.play, options.seed)
        return
    config = PPOConfig(num_envs=options.num_envs, **WALKER)
    agent = PPO(ENV, config, seed=options.seed)
    untrained = play(agent, ENV, EPISODES)
    run = Run(options.out, agent, ENV)
    print(f"training for {options.steps:,} steps; everything goes to {run.folder}/   (Ctrl-C ends early, and cleanly)")
    try:
        with ProgressBar(options.steps, SHOWN):
            agent.learn(options.steps, lambda a, metrics: None)
    except KeyboardInterrupt:
        print("\nstopped; saving what was learned so far")
    run.save(agent)
    if run.rows:
        plot_run(run.folder, {"episode_distance": "distance (m)", "episode_length": "decisions before falling"}, ENV)
    report(agent, untrained)
    picture(agent, run.folder, options.seed)


# What made this walk; docs/results.md tells what else was tried.
WALKER = dict(
    steps=32,
    batch_size=256,
    epochs=5,
    lr=3e-4,
    hidden=(256, 128),
    initial_sigma=0.5,
)


def report(agent: PPO, untrained: dict[str, np.ndarray] | None) -> None:
    """Print how far the agent walks, beside how far it did before training."""
    trained = play(agent, ENV, EPISODES)
    for name, result in (("untrained", untrained), ("trained", trained)):
        if result is not None:
            metres, seconds = result["distance"].mean(), result["length"].mean() / 25
            print(f"{name:>10}: {metres:6.2f} m in {seconds:4.1f} s  (mean of {EPISODES} deterministic episodes)")


def picture(agent: PPO, folder: Path, seed: int) -> None:
    """Film an episode into walker.gif, and a strip of it into walker.png."""
    env = gymnasium.make(ENV, render_mode="rgb_array")
    frames = film(agent, env, seed + 1000, seconds=8, fps=25)
    env.close()
    save_gif(folder / "walker.gif", frames, fps=25)
    Image.fromarray(contact_sheet(frames, 6)).save(folder / "walker.png")
    print(f"pictures: {folder}/walker.gif, walker.png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, help="environment steps (default 5,500,000; 300,000 with --quick)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-envs", type=int, default=64, help="walkers at once (default 64)")
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--play", type=Path, metavar="RUN", help="film the agent of a run's folder again")
    parser.add_argument("--out", type=Path, help="the run's folder (default runs/walker, runs/walker-2, …)")
    options = parser.parse_args()
    options.steps = options.steps or (300_000 if options.quick else 5_500_000)
    options.out = options.out or fresh_folder(Path("runs") / "walker")
    return options


def fresh_folder(base: Path) -> Path:
    """`base`, or the first of base-2, base-3, … that does not exist yet."""
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


if __name__ == "__main__":
    main()
