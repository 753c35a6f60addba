"""Reinforcement learning on deepnp: algorithms as pages that read like their papers."""

from rl.agent import Agent
from rl.on_policy.ppo import PPO, PPOConfig
from rl.training.evaluation import evaluate

__all__ = ["PPO", "Agent", "PPOConfig", "evaluate"]
