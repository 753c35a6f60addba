"""Environments by what a person types."""

import copy
import importlib
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

import envs  # noqa: F401  (registers deepnp/…)
from rl.cli.terminal import complain
from rl.cli.usage import Usage, closest, plain
from rl.experience.mujoco_words import DEPRECATED, loads_gymnasium_s_models

VERSION = re.compile(r"-v\d+$")
KNOWN = frozenset(gymnasium.registry)  # without a module of the person's


def find(name: str) -> str:
    """The id that a person means: one that is registered, or "module:Id-v0" with a module of the current folder.

    Raises
    ------
    Usage
        If there is none; the message suggests the nearest.
    """
    module, colon, short = name.rpartition(":")
    if colon:
        import_module(module)
    if short in gymnasium.registry and not is_retired(gymnasium.registry[short]):
        leave_out_deprecations(gymnasium.registry[short])
        return name
    named: dict[str, list[str]] = {}
    for spec in latest():
        named.setdefault(VERSION.sub("", spec.id).rpartition("/")[2].lower(), []).append(spec.id)
    wanted = plain(VERSION.sub("", short).rpartition("/")[2])
    ids = [i if i in KNOWN else f"{module}{colon}{i}" for match in closest(wanted, named) for i in named[match]]
    hint = f": did you mean {' or '.join(ids)}?" if ids else "; `deepnp envs` lists them"
    raise Usage(f'unknown environment "{name}"{hint}')


def is_retired(spec: EnvSpec) -> bool:
    """Whether only the id is left, and an error that says so, as of Gymnasium's MuJoCo tasks before v4."""
    raises = callable(spec.entry_point) and spec.entry_point.__module__ == "gymnasium.envs"
    return spec.vector_entry_point is None and (spec.entry_point is None or raises)


def leave_out_deprecations(spec: EnvSpec) -> None:
    """From now on MuJoCo's words are warnings of this command line, but for those on deprecated models; see mujoco_words.py."""
    if loads_gymnasium_s_models(spec):
        import mujoco  # here, because it takes a while

        mujoco.set_mju_user_warning(lambda text: None if DEPRECATED in text else complain(f"warning: {text}"))


def latest() -> list[EnvSpec]:
    """The latest version of each registered environment, ours first."""
    newest: dict[str, EnvSpec] = {}
    for spec in gymnasium.registry.values():
        if spec.name.startswith("GymV"):  # adapters for old environments, and none themselves
            continue
        name = VERSION.sub("", spec.id)
        if name not in newest or (spec.version or 0) > (newest[name].version or 0):
            newest[name] = spec
    return sorted(newest.values(), key=lambda spec: spec.namespace != "deepnp")


def spec_of(name: str, settings: Mapping[str, Any]) -> EnvSpec:
    """A registered environment with keyword arguments of its own."""
    spec = copy.deepcopy(gymnasium.spec(find(name).rpartition(":")[2]))
    spec.kwargs |= settings
    return spec


def import_module(module: str) -> None:
    """Import a module of the current folder, or an installed one: it registers environments.

    Raises
    ------
    Usage
        If there is none.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # behind everything that is installed: nothing of ours is hidden
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise Usage(f'expected a module of this folder, or an installed one, given "{module}": {error}') from error
