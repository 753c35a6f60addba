"""Learn to keep the centre and dodge basketballs: PPO on deepnp/Dodger-v0.

    python examples/dodger.py                         train
    python examples/dodger.py --play runs/dodger      film a trained one again
    python examples/dodger.py --resume runs/dodger    go on where a run was stopped

Writes runs/dodger/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, dodger.gif and .png.
Ctrl-C ends cleanly, with all of these.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from examples.common import run
from examples.games import Game, learn
from rl import PPOConfig

SETTINGS = PPOConfig(num_envs=64, steps=128, batch_size=1024, epochs=4, lr=3e-4, gamma=0.995, entropy_coef=0.01, hidden=(128, 128))
GAME = Game("Dodger", 10_000_000, SETTINGS, figure="thrown", label="balls thrown")

if __name__ == "__main__":
    run(lambda: learn(GAME, __doc__))
