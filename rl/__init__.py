"""Reinforcement learning on deepnp: algorithms as pages that read like their papers."""

from typing import TYPE_CHECKING

from rl import algorithms
from rl.agent import Agent as Agent
from rl.algorithms import *  # noqa: F403  (listed once, there)
from rl.experience.data_files import load_data as load_data
from rl.experience.data_files import save_data as save_data
from rl.experience.datasets import DataSet as DataSet
from rl.runs.callbacks import Callback as Callback
from rl.training.collect import collect as collect
from rl.training.evaluation import evaluate as evaluate

if not TYPE_CHECKING:  # as in deepnp/layers
    __all__ = ["Agent", "Callback", "DataSet", "collect", "evaluate", "load_data", "save_data"]
    __all__ += algorithms.__all__

    def __getattr__(name: str) -> None:
        known = ", ".join(algorithms.ALGORITHMS)
        raise AttributeError(f"module 'rl' has no attribute {name!r}: the algorithms are {known}; docs/algorithms.md lists them")
