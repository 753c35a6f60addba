"""Data sets of Minari (Farama), read and written by its own library: `pip install "deepnp-rl[minari]"`.

    load_minari("D4RL/pointmaze/umaze-v2")           one that `minari download` brought here
    save_minari(data, "pendulum/medium-v0")          for `minari list local`, and everything that reads Minari

Minari keeps T + 1 observations of an episode of T steps, in the environment's own form.
"""

import importlib
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np

from rl.experience import trees
from rl.experience.data_checks import actions_of
from rl.experience.datasets import DataSet, check_storable, joined
from rl.experience.environments import spec_of
from rl.experience.pace import Pace
from rl.experience.spaces import SpaceInfo

NAMESPACE = "namespace_metadata.json"  # Minari's file in the folder of a namespace


def load_minari(name: str) -> DataSet:
    """A data set of Minari's that is on this machine.

    Parameters
    ----------
    name : str
        As `minari list local` shows it.

    Raises
    ------
    ImportError
        Without the package.
    FileNotFoundError
        If there is no such data set here.
    ValueError
        If it has no episodes, actions out of their bounds, or spaces that no data set holds.
    """
    stored = package().load_dataset(name)
    spec = stored.spec
    space = SpaceInfo.of(spec.observation_space, spec.action_space)
    check_storable(space)
    env = None if spec.env_spec is None else spec.env_spec.id
    return joined([_episode(space, episode, env) for episode in stored.iterate_episodes()], {"minari": name})


def _episode(space, episode, env) -> DataSet:
    seen = space.observation.split(episode.observations, space.vector_dtype(True))
    count = len(episode.rewards)
    rows, following = trees.at(seen, slice(count)), trees.at(seen, slice(1, count + 1))
    actions, rewards = actions_of(space.action, episode.actions), np.array(episode.rewards, np.float32)
    ends = np.array(episode.terminations, bool), np.array(episode.truncations, bool)
    return DataSet(space, rows, actions, rewards, following, *ends, env)


def save_minari(data: DataSet, name: str, env_settings: Mapping[str, Any] | None = None) -> None:
    """Write a data set as one of Minari's, whole or not at all.

    Parameters
    ----------
    data : DataSet
        Of an environment that is registered, with one Box or one Discrete as observation.
    name : str
        As Minari wants it: "namespace/name-v0".
    env_settings : mapping, optional
        Keyword arguments of the environment, as `collect` was given them: the data set does not keep them.

    Raises
    ------
    ImportError
        Without the package.
    ValueError
        If there is one of that name already, or it is no name; if the observations have several parts;
        if the environment is not registered, has other spaces than the data, or cannot be written down,
        as one whose entry point is a class.
    """
    minari, buffer = package(), package(".data_collector.episode_buffer").EpisodeBuffer
    leaves = data.space.observation.leaves
    if len(leaves) > 1 or len(leaves[0].choices) > 1 or leaves[0].path or data.env is None:
        given = f"{len(leaves)} parts in {data.env or 'an environment without an id'}"
        raise ValueError(f"expected observations in one Box or Discrete, of a registered environment, given {given}")
    firsts = np.flatnonzero(data.starts)
    buffers = [
        buffer(id=i, **_buffered(data, slice(start, stop)))
        for i, (start, stop) in enumerate(zip(firsts, [*firsts[1:], len(data)], strict=True))
    ]
    _check_name(name)
    about = str(data.about["agent"]) if "agent" in data.about else None
    with closing(_made(data.env, dict(env_settings or {}))) as env, warnings.catch_warnings():
        _check_recorded(data, env)
        warnings.filterwarnings("ignore", module="minari")  # it recommends to name an author, and a page with code
        with _removed_on_failure(package(".storage").get_dataset_path(name)):
            minari.create_dataset_from_buffers(name, buffers, env=env, jpeg_encoding=False, algorithm_name=about)


def _check_name(name):
    try:
        package(".dataset.minari_dataset").parse_dataset_id(name)
    except (TypeError, ValueError) as error:
        raise ValueError(f'expected a name of Minari\'s, such as "namespace/name-v0", given {name!r:.80}') from error


def _made(name, settings) -> gymnasium.Env:
    """The environment, whose spaces and registration Minari writes down."""
    spec, pace = spec_of(name), Pace.taken_from(settings)
    made = gymnasium.make(spec, **settings)
    try:
        return pace.around(made)
    except ValueError:
        made.close()
        raise


def _check_recorded(data, env):
    """Raise ValueError unless Minari can write this environment down, and the data are of its spaces."""
    try:
        env.spec.to_json()
    except (ValueError, TypeError) as error:
        remedy = 'entry_point="module:Class" in place of the class, and settings of text and numbers'
        raise ValueError(f"expected a registration of {data.env} that JSON holds, with {remedy}: {error}") from error
    try:
        data.space.check(SpaceInfo.of(env.observation_space, env.action_space))
    except ValueError as error:
        remedy = "were they gathered with env_settings? save_minari takes the same"
        raise ValueError(f"expected data of the spaces that {data.env} has here ({remedy}): {error}") from error


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    """Remove what the block wrote of a data set, and the namespaces that it made for it, if it fails."""
    new = [folder for folder in path.parents if not folder.exists()]
    if path.exists():
        yield  # somebody else's: Minari refuses to write there
        return
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        for folder in new:  # the innermost first; one that meanwhile holds something else stays
            if folder.is_dir() and all(inside.name == NAMESPACE for inside in folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)
        raise


def _buffered(data, rows) -> dict[str, Any]:
    last = slice(rows.stop - 1, rows.stop)
    seen = trees.concatenate([trees.at(data.observations, rows), trees.at(data.next_observations, last)])
    return {
        "observations": _observed(data.space.observation.leaves[0], trees.parts(seen)),
        "actions": data.space.action.to_environment(data.actions[rows]),
        "rewards": data.rewards[rows],
        "terminations": data.terminated[rows],
        "truncations": data.truncated[rows],
    }


def _observed(leaf, parts) -> np.ndarray:
    """A Box or a Discrete as the environment gave it: (N, …)."""
    if leaf.kind == "image":
        return parts[1].transpose(0, 2, 3, 1) if leaf.channels_last else parts[1]
    if leaf.choices:
        return (parts[0].argmax(axis=1) + leaf.start[0]).astype(leaf.dtype)
    return parts[0].astype(leaf.dtype).reshape(len(parts[0]), *leaf.shape)


def package(module: str = "") -> ModuleType:
    """The package minari, or a module of it; ImportError, which says how to get it, where it is not installed."""
    try:
        return importlib.import_module(f"minari{module}")
    except ImportError as error:
        raise ImportError('Minari\'s data sets need the package minari: pip install "deepnp-rl[minari]"') from error
