"""Learn to visit ten numbered tiles in order: PPO on deepnp/Sorter-v0.

    python examples/sorter.py                         train
    python examples/sorter.py --play runs/sorter      film a trained one again
    python examples/sorter.py --resume runs/sorter    go on where a run was stopped

Writes runs/sorter/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, sorter.gif and .png.
Ctrl-C ends cleanly, with all of these.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from examples.common import run
from examples.games import Game, learn
from rl import PPOConfig

SETTINGS = PPOConfig(
    num_envs=64, steps=128, batch_size=1024, epochs=4, lr=5e-4, gamma=0.99, entropy_coef=0.01, hidden=(128, 128), target_kl=0.05
)
GAME = Game("Sorter", 30_000_000, SETTINGS, figure="tiles", label="tiles found", seconds=20)

if __name__ == "__main__":
    run(lambda: learn(GAME, __doc__))
