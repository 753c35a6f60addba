"""Agents as files and as copies: both are made of what `parts()` names.

A snapshot is flat tensors and JSON:

    agent.<part>.<name>      everything that training changes
    normalizer.<name>        of observations
    agent.memory.<name>      of these, the replay memory: large, and left out where that is wanted
    env.<name>               the environment's situation, where it can tell it
    collector.<name>         where the loop stands in it
    metadata                 settings, spaces, generators, counters, the environment's name
"""

import copy
import inspect
import math
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import fields
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from deepnp import NonFiniteError
from deepnp.backend import cuda_available
from deepnp.storage import TensorFile, chunks, save_tensors
from rl.config import scheduled, settings_from_json, settings_to_json, whole_number
from rl.experience.capture import obstacle_of
from rl.experience.capture_replay import NotReproduced
from rl.experience.collector import Collector
from rl.experience.environments import EnvLike, Resumable
from rl.experience.normalizers import Normalizer
from rl.experience.replay import ReplayMemory
from rl.experience.space_checks import check_space, largest_array
from rl.experience.spaces import SpaceInfo
from rl.names import refuse
from rl.networks.learned_model import LearnedModel
from rl.state import Part, join, part, restore, state_on_cpu
from rl.state import snapshot as snapshot_of

FORMAT = "deepnp agent 3"
NEEDED = {"algorithm", "config", "space", "seed", "steps", "iterations", "total_steps", "rngs", "env", "networks"}
Tensors = dict[str, Any]  # arrays, and Pieces of them
MEMORY = "agent.memory."  # how the names of its arrays begin
PIXELS = 64  # of an image for each number that the encoder's last layer reads
SLACK = 4  # parameters that a network may have for each number in its file, before it is called too large


class Saved(Protocol):
    """What is saved: an `Agent`."""

    config: Any
    space: SpaceInfo
    seed: int
    steps: int
    iterations: int
    total_steps: int
    rngs: dict[str, np.random.Generator]
    normalizer: Normalizer | None
    env: Any
    env_name: str | None
    networks: Mapping[str, Any]
    collector: Collector | None

    def parts(self) -> dict[str, Part]: ...

    def is_undisturbed(self) -> bool: ...


def snapshot(agent: Saved, state: Callable[[Part], dict] | None = None) -> tuple[Tensors, dict[str, Any]]:
    """Everything that makes an agent, as tensors (some of them live: copy what must not change) and JSON.

    `state` gives the state of a part, if not its `state_dict`.
    """
    state = state or state_on_cpu
    groups = {"agent": join({name: state(thing) for name, thing in agent.parts().items()})}
    if agent.normalizer:
        groups["normalizer"] = state(agent.normalizer)
    if agent.is_undisturbed() and isinstance(agent.env, Resumable):
        groups |= {"env": agent.env.state(), "collector": state(agent.collector)}
    metadata = {
        "format": FORMAT,
        "algorithm": agent.config.algorithm,
        "config": settings_to_json(agent.config),
        "space": agent.space.to_json(),
        "seed": agent.seed,
        "steps": agent.steps,
        "iterations": agent.iterations,
        "total_steps": agent.total_steps,
        "rngs": {name: rng.bit_generator.state for name, rng in agent.rngs.items()},
        "env": agent.env_name,
        "networks": sorted(agent.networks),
    }
    return join(groups), metadata


def save(agent: Saved, path: str | os.PathLike, memory: bool = True) -> None:
    """Write a snapshot, with the replay memory or without; NonFiniteError if a number in it is NaN or infinite."""
    _check_bool(memory)

    def in_place(thing: Part) -> dict:
        if isinstance(thing, ReplayMemory):
            return thing.pieces() if memory else {}
        return state_on_cpu(thing)

    tensors, metadata = snapshot(agent, in_place)
    _check_finite(tensors)
    save_tensors(path, tensors, metadata)


class Frozen:
    """An agent as it is at the moment when this is made: another thread may write it while training goes on.

    Copied are the networks and all that is small. The large columns of the replay memory are not:
    rl/experience/frozen.py says how they stay what they are. Training waits only where it would
    overwrite what has not been written yet. Write it at once, and let go of it then.

    Parameters
    ----------
    agent : Agent
        Between two steps: in a callback, or while nobody learns.
    memory : bool
        With the replay memory, or without.

    Raises
    ------
    NonFiniteError
        If a parameter is NaN or infinite.
    """

    def __init__(self, agent: Saved, memory: bool = True):
        _check_bool(memory)
        self._memories = {name: x.frozen() for name, x in agent.parts().items() if memory and isinstance(x, ReplayMemory)}
        tensors, self._metadata = snapshot(agent, lambda thing: {} if isinstance(thing, ReplayMemory) else snapshot_of(thing))
        self._tensors = {name: np.array(array) for name, array in tensors.items()}
        _check_finite(self._tensors)

    def write(self, path: str | os.PathLike) -> None:
        """Write it to a file, as `save` would have written it then: the same bits.

        Raises
        ------
        RuntimeError
            If training has gone on too far for the replay memory to be written.
        NonFiniteError
            If a number in the memory is NaN or infinite.
        """
        with ExitStack() as stack:
            memories = {f"agent.{name}": stack.enter_context(memory) for name, memory in self._memories.items()}
            filled = join(memories)
            _check_finite(filled)
            save_tensors(path, self._tensors | filled, self._metadata)


def frozen(agent: Saved, memory: bool = True) -> Frozen:
    """The agent as it is now, to be written while it trains on; see `Frozen`."""
    return Frozen(agent, memory)


def load(
    cls: Any,
    path: str | os.PathLike,
    env: EnvLike | None = None,
    env_settings: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    memory: bool = True,
) -> Any:
    """The agent of a file, in an environment or without one; see `Agent.load`, which lists the errors.

    Without `memory` the replay memory stays empty, and what the file says of it is not looked at.
    """
    if inspect.isabstract(cls):
        raise TypeError(f"expected an algorithm's load, given {cls.__name__}'s: rl.load finds a file's own")
    settings, networks = _known(cls, settings or {})
    with TensorFile(path, without=None if memory else MEMORY) as file:
        metadata = _checked(cls, path, file)
        try:
            agent = rebuild(cls, file, metadata, settings, networks)
        except NonFiniteError as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise ValueError(f"{path} is not a whole agent: {type(error).__name__} {error}") from error
        environment = {name: np.asarray(x) for name, x in file.items() if name.startswith(("env.", "collector."))}
    if env is not None:
        name = agent.env_name
        agent.set_env(env, env_settings=env_settings)
        copies = settings.get("num_envs", agent.env.num_envs)
        if copies != agent.env.num_envs:
            agent.close()
            raise ValueError(f"expected an environment of num_envs={copies} copies, given one of {agent.config.num_envs}")
        restore_environment(agent, name, environment)
    return agent


def _checked(cls, path, file: TensorFile) -> dict[str, Any]:
    """The metadata of a file that holds an agent of this class."""
    metadata = file.metadata
    if metadata.get("format") != FORMAT:
        raise ValueError(f'{path} is no agent: expected format "{FORMAT}", given {metadata.get("format")!r:.80}')
    if not file.signed:
        raise ValueError(f"{path} is damaged: expected an agent's file with checksums, given none")
    lacking = sorted(NEEDED - metadata.keys())
    if lacking:
        raise ValueError(f"{path} is not a whole agent: its metadata lacks {lacking}")
    if metadata["algorithm"] != cls.Config.algorithm:
        raise ValueError(f"{path} holds a {metadata['algorithm']} agent, not {cls.Config.algorithm}")
    return metadata


def _known(cls, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings, and networks of one's own, if the algorithm has them; else TypeError."""
    known = [f.name for f in fields(cls.Config)]
    unknown = [name for name in given if name not in (*known, *cls.own_networks)]
    if unknown:
        refuse(f"{cls.__name__}.load", [*known, *cls.own_networks], unknown)
    networks = {name: given[name] for name in cls.own_networks if name in given}
    return {name: value for name, value in given.items() if name not in networks}, networks


def rebuild(
    cls: Any,
    tensors: Mapping,
    metadata: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
    networks: Mapping[str, Any] | None = None,
) -> Any:
    """An agent from a snapshot, with some settings of its config replaced; without an environment.

    `networks` are those of one's own that it was made with.
    """
    _check_networks(cls.__name__, metadata["networks"], networks or {})
    config = settings_from_json(cls.Config, metadata["config"], _placed(metadata["config"], settings or {}))
    space = SpaceInfo.from_json(metadata["space"])
    check_space(space)
    if not networks:
        _check_size(config, space, tensors)
    agent = cls.__new__(cls)
    agent._begin(space, config, metadata["seed"], networks)
    try:
        _restore(agent, tensors)
    except (KeyError, ValueError) as error:
        if not settings:
            raise
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        raise ValueError(f"expected settings that fit what was saved, given {given}: {error}") from error
    agent.steps = whole_number("steps", metadata["steps"], 0)
    agent.iterations = whole_number("iterations", metadata["iterations"], 0)
    agent.total_steps = whole_number("total_steps", metadata["total_steps"], 0)  # where schedules stand
    agent.env_name = metadata["env"]
    if not isinstance(agent.env_name, str | None):
        raise ValueError(f"expected the environment's name, given {agent.env_name!r:.80}")
    if metadata["rngs"].keys() != agent.rngs.keys():
        raise ValueError(f"expected random generators {sorted(agent.rngs)}, given {sorted(metadata['rngs'])}")
    for name, state in metadata["rngs"].items():
        agent.rngs[name].bit_generator.state = state
    return agent


def _placed(content: Mapping[str, Any], settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings to be replaced; the device among them, where what was saved was on a GPU and here is none."""
    if content.get("device") != "cuda" or "device" in settings or cuda_available():
        return settings
    warnings.warn('the agent was on a GPU, and here is none that CuPy can use: it goes on on the CPU, device="cpu"', stacklevel=5)
    return {**settings, "device": "cpu"}


def _restore(agent: Any, tensors: Mapping) -> None:
    """Fill the parts. The replay memory reads its arrays itself, a few rows at a time."""
    parts = agent.parts()
    memories = {name: thing for name, thing in parts.items() if isinstance(thing, ReplayMemory)}
    state = part(tensors, "agent")
    small = {name: np.asarray(x) for name, x in state.items() if name.partition(".")[0] not in memories}
    moments = {name: np.asarray(x) for name, x in part(tensors, "normalizer").items()}
    _check_finite(join({"agent": small, "normalizer": moments}))
    restore(parts, {**state, **small})
    _check_finite(join({f"agent.{name}": memory.pieces() for name, memory in memories.items()}))
    if bool(moments) != (agent.normalizer is not None):
        raise ValueError(f"expected observations that are {'' if moments else 'not '}normalized, as they were")
    if agent.normalizer:
        agent.normalizer.load_state_dict(moments)


def restore_environment(agent: Any, name: str | None, tensors: Tensors) -> None:
    """Let an agent that was given an environment go on in it as the file says.

    Where it cannot, new episodes begin, and a warning says why.

    Raises
    ------
    ValueError
        If the file was saved in an environment of another name, or what it says of it is damaged.
    """
    if name is not None and name != agent.env_name:
        given = f'given "{agent.env_name}": to learn in another one, load without an environment and call set_env'
        agent.close()
        raise ValueError(f'expected environment "{name}", {given}')
    why = _go_on(agent, part(tensors, "env"), part(tensors, "collector"))
    if why and not agent.untouched:
        warnings.warn(f"{agent.env_name} begins new episodes, so results will not be the same to the bit: {why}", stacklevel=5)


def _go_on(agent: Any, state: Tensors, stood: Tensors) -> str | None:
    """Put environment and loop where they stood; returns the reason where that cannot be."""
    if not isinstance(agent.env, Resumable):
        return obstacle_of(agent.env)
    if not state:
        return "the file does not hold its state"
    dtype = agent.space.vector_dtype(agent.normalizer is not None)
    collector = Collector(agent.env, agent.space.observation, dtype, seed=None)
    try:
        if len(stood["ended"]) != agent.env.num_envs:
            return f"the file holds {len(stood['ended'])} copies, and there are {agent.env.num_envs}"
        collector.load_state_dict(stood)
        agent.env.set_state(state)
    except NotReproduced as error:
        return str(error)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        agent.close()
        raise ValueError(f"what the file says of the environment is not whole: {type(error).__name__} {error}") from error
    agent.collector, agent._left = collector, agent.env.state()
    return None


def copy_of(agent: Any) -> Any:
    """A twin that shares nothing, at the same point of its training.

    Where the agent's environment was made for it, the twin gets another of its own. An environment
    that was handed in stays with its agent: `set_env` gives the twin one.
    """
    tensors, metadata = snapshot(agent)
    tensors = {name: np.array(array) for name, array in tensors.items()}
    functions = {name: getattr(agent.config, name) for name in scheduled(agent.config)}  # which JSON does not hold
    networks = {name: copy.deepcopy(network) for name, network in agent.networks.items()}
    twin = rebuild(type(agent), tensors, metadata, functions, networks)
    for own, its in zip(agent.parts().values(), twin.parts().values(), strict=True):
        if isinstance(own, LearnedModel):  # its rules are functions, and no file's
            its.ends, its.rewards = own.ends, own.rewards
    if agent.source is not None:
        env, settings = agent.source
        twin.set_env(env, env_settings=settings)
        _go_on(twin, part(tensors, "env"), part(tensors, "collector"))
    return twin


def pickled(agent: Any) -> tuple:
    """The arguments of `rebuild`, for pickle.

    Raises TypeError for an agent with networks of one's own, as modules are not pickled.
    """
    if agent.networks:
        raise TypeError(f"an agent with networks of one's own cannot be pickled, given {sorted(agent.networks)}: save and load it")
    functions = {name: getattr(agent.config, name) for name in scheduled(agent.config)}  # pickle knows those of modules
    return type(agent), *snapshot(agent), functions


def _check_networks(agent, used, given):
    """Networks of one's own are no file's: those that an agent was made with are needed again, and no others."""
    missing = [name for name in used if name not in given]
    if missing:
        again = f"{agent}.load(path, {', '.join(f'{name}=…' for name in used)})"
        raise ValueError(f"expected the agent's own {' and '.join(missing)} again, which no file can hold: {again}")
    if not given.keys() <= set(used):
        names = ", ".join(f"{name}=…" for name in given)
        raise ValueError(f"expected no networks but {list(used)}, as this agent was made, given {names}")


def _check_bool(memory):
    if not isinstance(memory, bool | np.bool_):
        raise TypeError(f"expected memory as a bool, given {memory!r:.80}")


def _check_size(config, space, tensors):
    """Compare the sizes that a file claims with what it holds, before networks of them are made."""
    numbers = sum(math.prod(array.shape) for array in tensors.values())
    if largest_array(space) > PIXELS * SLACK * numbers:
        raise ValueError(f"expected spaces of networks with {numbers:,} numbers, given one of {largest_array(space):,} values")
    for f in fields(config):
        value = getattr(config, f.name)
        if isinstance(value, tuple) and any(a * b > SLACK * numbers for a, b in pairwise((1, *value))):
            raise ValueError(f"expected {f.name} of networks with {numbers:,} numbers, given {value}")


def _check_finite(tensors):
    for name, array in tensors.items():
        numbers = name.startswith(("agent.", "normalizer.")) and array.dtype.kind == "f"
        if numbers and not all(np.isfinite(rows).all() for rows in chunks(array)):
            raise NonFiniteError(f"{name} holds NaN or infinity")
