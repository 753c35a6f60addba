"""An algorithm's Config as options of the command line: every field, with its meaning, range and default."""

from dataclasses import Field, field, fields, make_dataclass
from typing import Annotated, Any, Literal, Optional

from tyro.conf import arg

from rl.algorithms import ALGORITHMS
from rl.cli.usage import Usage

SMALL = 1_000  # a range that ends beyond says little
RENAMED = {"steps": "rollout_steps"}  # --steps is how long to train


def options_of(base: Any) -> type:
    """A dataclass for tyro with the fields of a Config, grouped by the class that they come from.

    Parameters
    ----------
    base : dataclass
        A Config, made of `rl.config.setting`: its values are the defaults.
    """
    config = type(base)
    groups: dict[str, list[Field]] = {}
    for f in fields(config):
        owner = next(cls for cls in config.__mro__ if f.name in cls.__annotations__)
        groups.setdefault(owner.__name__.removesuffix("Config"), []).append(f)
    forms = {name: make_dataclass(name, [_option(f, getattr(base, f.name)) for f in members]) for name, members in groups.items()}
    own_first = [name for cls in config.__mro__ if (name := cls.__name__.removesuffix("Config")) in forms]
    named = [(name, Annotated[forms[name], arg(name=name)], field(default_factory=forms[name])) for name in own_first]
    return make_dataclass("Settings", named)


def values_of(options: Any) -> dict[str, Any]:
    """The value of each option, by its name with underscores."""
    return {name: value for group in vars(options).values() for name, value in vars(group).items()}


def config_of(config: type, options: Any) -> Any:
    """The Config that a person chose.

    Raises
    ------
    Usage
        If a value is outside its range.
    """
    given = values_of(options)
    try:
        return config(**{f.name: given[RENAMED.get(f.name, f.name)] for f in fields(config)})
    except ValueError as error:
        text = str(error)
        for f in fields(config):
            text = text.replace(f"{config.__name__}.{f.name} ", f"--{RENAMED.get(f.name, f.name).replace('_', '-')} ")
        raise Usage(text) from error


def is_a_setting(name: str) -> bool:
    """Whether some algorithm has an option of this name, with underscores."""
    return any(name == RENAMED.get(f.name, f.name) for algorithm in ALGORITHMS.values() for f in fields(algorithm.config))


def _option(f, default):
    form, metadata = f.type, f.metadata
    if metadata["choices"]:
        form = Literal[tuple(metadata["choices"])]
        form = Optional[form] if f.default is None else form  # noqa: UP045  (the form is made here)
    about = arg(help=metadata["doc"], help_behavior_hint=lambda text: f"(default: {text}{_range(metadata)})")
    return RENAMED.get(f.name, f.name), Annotated[form, about], field(default=default)


def _range(metadata) -> str:
    low, high = metadata["low"], metadata["high"]
    return "" if low is None or high > SMALL else f"; {low:g} to {high:g}"
