"""Agents as files and as copies: both are made of what `parts()` names.

A snapshot is flat tensors and JSON:

    agent.<part>.<name>      everything that training changes
    normalizer.<name>        of observations
    env.<name>               the environment's situation, where it can tell it
    collector.<name>         where the loop stands in it
    metadata                 settings, spaces, generators, counters, the environment's name
"""

import os
from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from deepnp import NonFiniteError
from deepnp.storage import load_tensors, save_tensors
from rl.config import settings_from_json, settings_to_json, whole_number
from rl.experience.collector import Collector
from rl.experience.environments import Resumable
from rl.experience.normalize import ObservationNormalizer
from rl.experience.spaces import SpaceInfo
from rl.state import Part, join, part, restore, state_of

FORMAT = "deepnp agent 2"
NEEDED = {"algorithm", "config", "space", "seed", "steps", "iterations", "rngs", "env"}
Tensors = dict[str, np.ndarray]
SLACK = 4  # parameters that a network may have for each number in its file, before it is called too large


class Saved(Protocol):
    """What is saved: an `Agent`."""

    config: Any
    space: SpaceInfo
    seed: int
    steps: int
    iterations: int
    rngs: dict[str, np.random.Generator]
    normalizer: ObservationNormalizer | None
    env: Any
    env_name: str | None
    collector: Collector | None

    def parts(self) -> dict[str, Part]: ...

    def is_undisturbed(self) -> bool: ...


def snapshot(agent: Saved) -> tuple[Tensors, dict[str, Any]]:
    """Everything that makes an agent, as tensors (some of them live: copy what must not change) and JSON."""
    groups = {"agent": state_of(agent.parts())}
    if agent.normalizer:
        groups["normalizer"] = agent.normalizer.state_dict()
    if agent.is_undisturbed() and isinstance(agent.env, Resumable):
        groups |= {"env": agent.env.state(), "collector": agent.collector.state_dict()}
    metadata = {
        "format": FORMAT,
        "algorithm": agent.config.algorithm,
        "config": settings_to_json(agent.config),
        "space": agent.space.to_json(),
        "seed": agent.seed,
        "steps": agent.steps,
        "iterations": agent.iterations,
        "rngs": {name: rng.bit_generator.state for name, rng in agent.rngs.items()},
        "env": agent.env_name,
    }
    return join(groups), metadata


def save(agent: Saved, path: str | os.PathLike) -> None:
    """Write a snapshot; NonFiniteError if a number in it is NaN or infinite."""
    tensors, metadata = snapshot(agent)
    _check_finite(tensors)
    save_tensors(path, tensors, metadata)


def load(cls: Any, path: str | os.PathLike) -> tuple[Any, Tensors]:
    """The agent of a file, and what it says of the environment.

    Raises ValueError where the file is not whole, or another's.
    """
    tensors, metadata = load_tensors(path)
    given = metadata.get("format") if isinstance(metadata, dict) else None
    if given != FORMAT:
        raise ValueError(f'{path} is no agent: expected format "{FORMAT}", given {given!r}')
    lacking = sorted(NEEDED - metadata.keys())
    if lacking:
        raise ValueError(f"{path} is not a whole agent: its metadata lacks {lacking}")
    if metadata["algorithm"] != cls.Config.algorithm:
        raise ValueError(f"{path} holds a {metadata['algorithm']} agent, not {cls.Config.algorithm}")
    try:
        agent = rebuild(cls, tensors, metadata)
    except NonFiniteError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"{path} is not a whole agent: {type(error).__name__} {error}") from error
    return agent, tensors


def rebuild(cls: Any, tensors: Tensors, metadata: Mapping[str, Any]) -> Any:
    """An agent from a snapshot, without an environment."""
    config = settings_from_json(cls.Config, metadata["config"])
    _check_size(config, tensors)
    _check_finite(tensors)
    agent = cls.__new__(cls)
    agent._begin(SpaceInfo.from_json(metadata["space"]), config, metadata["seed"])
    restore(agent.parts(), part(tensors, "agent"))
    if agent.normalizer:
        agent.normalizer.load_state_dict(part(tensors, "normalizer"))
    agent.steps = whole_number("steps", metadata["steps"], 0)
    agent.iterations = whole_number("iterations", metadata["iterations"], 0)
    agent.env_name = metadata["env"]
    if metadata["rngs"].keys() != agent.rngs.keys():
        raise ValueError(f"expected random generators {sorted(agent.rngs)}, given {sorted(metadata['rngs'])}")
    for name, state in metadata["rngs"].items():
        agent.rngs[name].bit_generator.state = state
    return agent


def restore_environment(agent: Any, name: str | None, tensors: Tensors) -> None:
    """Let an agent that was given an environment go on in it as the file says, where it can.

    Raises
    ------
    ValueError
        If the file was saved in an environment of another name, or what it says of it is damaged.
    """
    if name is not None and name != agent.env_name:
        given = f'given "{agent.env_name}": to learn in another one, load without an environment and call set_env'
        agent.close()
        raise ValueError(f'expected environment "{name}", {given}')
    state, stood = part(tensors, "env"), part(tensors, "collector")
    if not (state and isinstance(agent.env, Resumable)):
        return
    dtype = agent.space.vector_dtype(agent.normalizer is not None)
    collector = Collector(agent.env, agent.space.observation, dtype, seed=None)
    try:
        if len(stood["ended"]) == agent.env.num_envs:
            collector.load_state_dict(stood)
            agent.env.set_state(state)
            agent.collector, agent._left = collector, agent.env.state()
    except (KeyError, TypeError, IndexError) as error:
        agent.close()
        raise ValueError(f"what the file says of the environment is not whole: {type(error).__name__} {error}") from error


def copy_of(agent: Any) -> Any:
    """A twin that shares nothing, at the same point of its training.

    Where the agent's environment was made for it, the twin gets another of its own. An environment
    that was handed in stays with its agent: `set_env` gives the twin one.
    """
    tensors, metadata = snapshot(agent)
    tensors = {name: np.array(array) for name, array in tensors.items()}
    twin = rebuild(type(agent), tensors, metadata)
    if agent.source is not None:
        env, settings = agent.source
        twin.set_env(env, env_settings=settings)
        restore_environment(twin, agent.env_name, tensors)
    return twin


def _check_size(config, tensors):
    """Compare the widths that a file claims with what it holds, before networks of them are made."""
    numbers = sum(np.size(array) for array in tensors.values())
    for f in fields(config):
        value = getattr(config, f.name)
        if isinstance(value, tuple) and any(a * b > SLACK * numbers for a, b in pairwise((1, *value))):
            raise ValueError(f"expected {f.name} of networks with {numbers:,} numbers, given {value}")


def _check_finite(tensors):
    for name, array in tensors.items():
        if name.startswith(("agent.", "normalizer.")) and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NonFiniteError(f"{name} holds NaN or infinity")
