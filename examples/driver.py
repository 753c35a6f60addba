"""Learn to drive a lap on circuits never seen before: PPO on deepnp/Driver-v0.

    python examples/driver.py                         train
    python examples/driver.py --play runs/driver      film a trained one again
    python examples/driver.py --resume runs/driver    go on where a run was stopped

Writes runs/driver/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, driver.gif and .png.
Ctrl-C ends cleanly, with all of these.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from examples.common import run
from examples.games import Game, learn
from rl import PPOConfig

SETTINGS = PPOConfig(num_envs=64, steps=64, batch_size=512, epochs=5, lr=3e-4, gamma=0.99, hidden=(128, 128), initial_sigma=0.5)
GAME = Game("Driver", 8_000_000, SETTINGS, figure="lap", label="laps", seconds=30.0)

if __name__ == "__main__":
    run(lambda: learn(GAME, __doc__))
