"""Learn to aim, to save rounds and to keep away from enemies: PPO on deepnp/Survivor-v0.

    python examples/survivor.py                           train
    python examples/survivor.py --play runs/survivor      film a trained one again
    python examples/survivor.py --resume runs/survivor    go on where a run was stopped

Writes runs/survivor/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, survivor.gif and .png.
Ctrl-C ends cleanly, with all of these.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from examples.common import run
from examples.games import Game, learn
from rl import PPOConfig

SETTINGS = PPOConfig(num_envs=64, steps=128, batch_size=1024, epochs=4, lr=3e-4, gamma=0.995, entropy_coef=0.01, hidden=(128, 128))
GAME = Game("Survivor", 5_000_000, SETTINGS, figure="kills", label="enemies shot", seconds=20)

if __name__ == "__main__":
    run(lambda: learn(GAME, __doc__))
