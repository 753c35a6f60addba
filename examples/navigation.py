"""Find the origin of a space of n dimensions: PPO on deepnp/Navigation-v0.

    python examples/navigation.py                             train
    python examples/navigation.py --n 50                      in 50 dimensions, not 2
    python examples/navigation.py --play runs/navigation      film a trained one again
    python examples/navigation.py --resume runs/navigation    go on where a run was stopped

Writes runs/navigation/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, navigation.gif and .png.
Ctrl-C ends cleanly, with all of these.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from examples.common import positive, run
from examples.games import Game, learn
from rl import PPOConfig

SETTINGS = PPOConfig(num_envs=64, steps=64, batch_size=512, epochs=5, lr=1e-3, gamma=0.9, hidden=(64, 64), initial_sigma=0.5)


def game(n: int) -> Game:
    return Game("Navigation", 500_000, SETTINGS, "distance", "distance from the origin", seconds=3, options={"n": n})


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--n", type=positive, default=2)
    options, others = parser.parse_known_args()
    learn(game(options.n), __doc__, others)


if __name__ == "__main__":
    run(main)
