"""Data sets as files: safetensors with a checksum of each array, written whole or not at all.

observations0, next_observations0, …, actions, rewards, terminated, truncated
metadata: format, the spaces, the environment's id, what else is known
"""

import os

import numpy as np

from deepnp.storage import TensorFile, save_tensors
from rl.experience.datasets import DataSet
from rl.experience.replay import ReplayMemory
from rl.experience.space_checks import check_space
from rl.experience.spaces import SpaceInfo

FORMAT = "deepnp data set 1"


def save_data(data: DataSet, path: str | os.PathLike) -> None:
    """Write a data set to one safetensors file, atomically."""
    metadata = {"format": FORMAT, "space": data.space.to_json(), "env": data.env, "about": dict(data.about)}
    save_tensors(path, data.columns(), metadata)


def load_data(path: str | os.PathLike) -> DataSet:
    """The data set of a file that `save_data` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or holds no data set.
    """
    with TensorFile(path) as file:
        metadata = file.metadata
        if metadata.get("format") != FORMAT:
            raise ValueError(f'{path} is no data set: expected format "{FORMAT}", given {metadata.get("format")!r:.80}')
        if not file.signed:
            raise ValueError(f"{path} is damaged: expected a data set with checksums, given none")
        try:
            return _read(file)
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"{path} is not a whole data set: {type(error).__name__} {error}") from error
        except ValueError as error:
            raise ValueError(f"{path} is not a whole data set: {error}") from error


def _read(file: TensorFile) -> DataSet:
    metadata = file.metadata
    space = SpaceInfo.from_json(metadata["space"])
    check_space(space)
    trees = []
    for name in ("observations", "next_observations"):
        parts = tuple(np.asarray(file[f"{name}{i}"]) for i in range(1 + len(space.observation.beside)))
        trees.append(parts if space.observation.beside else parts[0])
    actions, rewards, terminated, truncated = (np.asarray(file[name]) for name in ReplayMemory.FIELDS)
    if not isinstance(metadata["env"], str | None) or not isinstance(metadata["about"], dict):
        raise ValueError(f"expected an environment's id, given {metadata['env']!r:.80}")
    return DataSet(space, trees[0], actions, rewards, trees[1], terminated, truncated, metadata["env"], metadata["about"])
