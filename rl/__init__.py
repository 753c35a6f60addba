"""Reinforcement learning on deepnp: algorithms as pages that read like their papers."""

from rl import algorithms
from rl.agent import Agent
from rl.algorithms import *  # noqa: F403  (listed once, there)
from rl.training.evaluation import evaluate

__all__ = ["Agent", "evaluate"]
__all__ += algorithms.__all__
