"""What Stable-Baselines3, its zoo and CleanRL call our options: whoever types theirs is told ours."""

from collections.abc import Sequence

from rl.cli.usage import Usage

OURS = {
    # how long, where, and what is written
    "total-timesteps": "--steps",
    "n-timesteps": "--steps",
    "algo": "the first argument of train",
    "env": "the second argument of train",
    "env-id": "the second argument of train",
    "env-kwargs": "--env-settings",
    "eval-freq": "--eval-every",
    "n-eval-episodes": "--eval-episodes",
    "tensorboard-log": "--tensorboard",
    "log-folder": "--out",
    "verbose": "without --quiet",
    "progress-bar": "without --quiet",
    # copies and rollouts
    "n-envs": "--num-envs",
    "n-steps": "--rollout-steps with PPO, --n-step off-policy",
    "num-steps": "--rollout-steps",
    "n-epochs": "--epochs",
    "update-epochs": "--epochs",
    "num-minibatches": "--batch-size, in rows",
    # losses
    "learning-rate": "--lr",
    "gae-lambda": "--lam",
    "clip-range": "--clip",
    "clip-coef": "--clip",
    "clip-range-vf": "--value-clip",
    "clip-vloss": "--value-clip",
    "ent-coef": "--entropy-coef with PPO, --temperature with SAC",
    "vf-coef": "--value-coef",
    "normalize-advantage": "--normalize-advantages",
    "norm-adv": "--normalize-advantages",
    "alpha": "--temperature",
    # memory and updates
    "buffer-size": "--memory",
    "learning-starts": "--warmup",
    "train-freq": "--update-interval",
    "gradient-steps": "--updates",
    "policy-delay": "--delay",
    "policy-frequency": "--delay",
    "target-policy-noise": "--smoothing",
    "policy-noise": "--smoothing",
    "target-noise-clip": "--smoothing-clip",
    "noise-clip": "--smoothing-clip",
    "exploration-noise": "--exploration",
    "goal-selection-strategy": "--hindsight",
    "n-sampled-goal": "--hindsight-k",
    # networks
    "net-arch": "--hidden",
    "activation-fn": "--activation",
}


def explain_other_names(arguments: Sequence[str]) -> None:
    """Raise Usage at the first option that is called otherwise here."""
    for word in arguments:
        name = word.removeprefix("--").partition("=")[0].replace("_", "-").lower()
        if word.startswith("--") and name in OURS:
            raise Usage(f"expected {OURS[name]} here, given {word.partition('=')[0]}")
