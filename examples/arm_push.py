"""Push a cube to any point on the ground: DDPG with hindsight on deepnp/ArmPush-v0.

    python examples/arm_push.py                          train
    python examples/arm_push.py --play runs/armpush      film a trained one again
    python examples/arm_push.py --resume runs/armpush    go on where a run was stopped

Writes runs/armpush/: config.json, progress.csv, checkpoints/, learning_curve.svg and .png, armpush.gif and .png.
Ctrl-C ends cleanly, with all of these.

The reward says only whether the cube is there. The claws stay half closed: pushing needs none.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from examples.common import run
from examples.games import Game, learn
from rl import DDPGConfig

SETTINGS = DDPGConfig(
    num_envs=32,
    hidden=(128, 128),
    hindsight="future",
    clip_targets=True,
    normalize_observations=True,
    exploration=0.2,
    random_share=0.3,
    lr=1e-3,
    gamma=0.98,
    tau=0.02,
    warmup=10_000,
    update_interval=32,
    updates=8,
)
OPTIONS = {"claws": False}
GAME = Game("ArmPush", 1_000_000, SETTINGS, figure="is_success", label="share of goals reached", seconds=4, options=OPTIONS)

if __name__ == "__main__":
    run(lambda: learn(GAME, __doc__))
