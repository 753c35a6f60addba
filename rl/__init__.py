"""Reinforcement learning on deepnp: algorithms as pages that read like their papers."""

from typing import TYPE_CHECKING

from rl import algorithms
from rl.agent import Agent as Agent
from rl.algorithms import *  # noqa: F403  (listed once, there)
from rl.runs.callbacks import Callback as Callback
from rl.training.evaluation import evaluate as evaluate

if not TYPE_CHECKING:  # as in deepnp/layers
    __all__ = ["Agent", "Callback", "evaluate"]
    __all__ += algorithms.__all__

    def __getattr__(name: str) -> None:
        known = ", ".join(algorithms.ALGORITHMS)
        raise AttributeError(f"module 'rl' has no attribute {name!r}: the algorithms are {known}; docs/algorithms.md lists them")
