"""Teach four legs to crawl: PPO on deepnp/Crawler-v0.

    python examples/crawler.py                          train
    python examples/crawler.py --play runs/crawler      film a trained one again
    python examples/crawler.py --resume runs/crawler    go on where a run was stopped

Writes runs/crawler/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, crawler.gif and .png.
Ctrl-C ends cleanly, with all of these.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from examples.common import run
from examples.games import Game, learn
from rl import PPOConfig

SETTINGS = PPOConfig(num_envs=64, steps=32, batch_size=512, epochs=5, lr=3e-4, hidden=(256, 128), initial_sigma=0.5, target_kl=0.05)
GAME = Game("Crawler", 1_000_000, SETTINGS, figure="distance", label="metres", seconds=2.5)

if __name__ == "__main__":
    run(lambda: learn(GAME, __doc__))
