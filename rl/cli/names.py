"""Options that a command does not have: whoever types those of Stable-Baselines3, its zoo or CleanRL is told ours."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin

from rl.cli.settings import RENAMED, is_a_setting
from rl.cli.usage import Usage, closest
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
        "decision_period": "--env-settings decision_period=…",
        "stacked_inputs": "--env-settings stacked_inputs=…",
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
        "device": "nothing: this computes on the CPU, and --threads says with how many threads",
    }
)
OTHERS = "help", "tyro_print_completion", "tyro_write_completion"  # what every command has
BEGUN_WITH = "a run keeps the settings that it was begun with; in Python, rl.load(path, env, lr=…) changes one"


def options_of(command: Callable[..., Any]) -> set[str]:
    """The names of a command's options, with underscores."""
    forms = {parameter: form for parameter, form in command.__annotations__.items() if parameter != "return"}
    return {name for parameter, form in forms.items() for name in _names(parameter, form)}


def check_options(arguments: Sequence[str], known: set[str], prog: str) -> None:
    """Raise Usage that explains every option that is not among the known ones.

    Parameters
    ----------
    arguments : sequence of str
    known : set of str
        Names with underscores, see `options_of`.
    prog : str
        What the command is called.
    """
    words = [word.partition("=")[0] for word in arguments if word.startswith("--") and len(word) > 2]
    wrong = [word for word in dict.fromkeys(words) if not _is_known(_name(word), known)]
    if wrong:
        raise Usage("; ".join(_answer(word, known, prog) for word in wrong))


def _names(name: str, form: Any) -> Iterator[str]:
    while get_origin(form) is Annotated:
        form = get_args(form)[0]
    if not dataclasses.is_dataclass(form):
        yield name
        return
    for field in dataclasses.fields(form):
        yield from _names(field.name, field.type)


def _name(word: str) -> str:
    return word.removeprefix("--").replace("-", "_").lower()


def _is_known(name: str, known: set[str]) -> bool:
    return name in known or name in OTHERS or name.removeprefix("no_") in known


def _answer(word: str, known: set[str], prog: str) -> str:
    name = _name(word)
    settings = [RENAMED.get(ours, ours) for ours in OURS.get(name, ())]
    ours = COMMANDS.get(name) or _either(setting for setting in settings if setting in known)
    if not ours and "env" not in known and (settings or is_a_setting(name)):
        return f"`{prog}` has no {word}: {BEGUN_WITH}"
    ours = ours or _either(closest(name, known))
    return f"expected {ours}, given {word}" if ours else f"`{prog}` has no {word}"


def _either(names: Iterable[str]) -> str:
    return " or ".join(f"--{name.replace('_', '-')}" for name in names)
