"""What Stable-Baselines3, its zoo and CleanRL call our options: whoever types theirs is told ours."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rl.cli.settings import RENAMED
from rl.cli.usage import Usage
from rl.names import OURS

COMMANDS: Mapping[str, str] = MappingProxyType(  # what is an option, or no option, of a command; settings are in rl/names.py
    {
        "total_timesteps": "--steps",
        "total_steps": "--steps",
        "n_timesteps": "--steps",
        "algo": "the algorithm without --algo, as in `deepnp train sac HalfCheetah-v5`",
        "env": "the environment without --env, as in `deepnp train sac HalfCheetah-v5`",
        "env_id": "the environment without --env-id, as in `deepnp train sac HalfCheetah-v5`",
        "gym_id": "the environment without --gym-id, as in `deepnp train sac HalfCheetah-v5`",
        "env_kwargs": "--env-settings",
        "eval_freq": "--eval-every",
        "n_eval_episodes": "--eval-episodes of train, or --episodes of eval",
        "save_freq": "--keep",
        "log_folder": "--out",
        "tensorboard_log": "--tensorboard",
        "tb_log_name": "--out",
        "track": "--tensorboard",
        "num_threads": "--threads",
        "verbose": "nothing, or --quiet",
        "progress_bar": "nothing, or --quiet",
        "device": "nothing: agents compute on the CPU, and --threads says with how many threads",
    }
)


def explain_other_names(arguments: Sequence[str]) -> None:
    """Raise Usage at the first option that is called otherwise here."""
    for word in arguments:
        name = word.removeprefix("--").partition("=")[0].replace("-", "_").lower()
        ours = COMMANDS.get(name) or " or ".join(map(_option, OURS.get(name, ())))
        if word.startswith("--") and ours:
            raise Usage(f"expected {ours}, given {word.partition('=')[0]}")


def _option(setting: str) -> str:
    return f"--{RENAMED.get(setting, setting).replace('_', '-')}"
