"""Bring a robot's hand to any point within reach: SAC with hindsight on deepnp/ArmReach-v0.

    python examples/arm_reach.py                           train
    python examples/arm_reach.py --play runs/armreach      film a trained one again
    python examples/arm_reach.py --resume runs/armreach    go on where a run was stopped

Writes runs/armreach/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, armreach.gif and .png.
Ctrl-C ends cleanly, with all of these.

The reward says only whether the hand is there: without hindsight nothing is learned (docs/results/actor_critic.md).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from examples.common import run
from examples.games import Game, learn
from rl import SACConfig

SETTINGS = SACConfig(
    num_envs=16,
    hidden=(128, 128),
    hindsight="future",
    lr=5e-4,
    gamma=0.95,
    tau=0.02,
    warmup=2_000,
    update_interval=16,
    updates=8,
    memory=200_000,
)
GAME = Game("ArmReach", 200_000, SETTINGS, figure="is_success", label="share of goals reached", seconds=2)

if __name__ == "__main__":
    run(lambda: learn(GAME, __doc__))
