"""Reinforcement learning on deepnp: algorithms as pages that read like their papers."""

from rl.agent import Agent
from rl.off_policy.ddpg import DDPG, DDPGConfig
from rl.off_policy.sac import SAC, SACConfig
from rl.off_policy.sac_lite import SACLite, SACLiteConfig
from rl.off_policy.sac_value import SACValue, SACValueConfig
from rl.off_policy.td2 import TD2, TD2Config
from rl.off_policy.td3 import TD3, TD3Config
from rl.on_policy.ppo import PPO, PPOConfig
from rl.training.evaluation import evaluate

__all__ = [
    "DDPG",
    "PPO",
    "SAC",
    "TD2",
    "TD3",
    "Agent",
    "DDPGConfig",
    "PPOConfig",
    "SACConfig",
    "SACLite",
    "SACLiteConfig",
    "SACValue",
    "SACValueConfig",
    "TD2Config",
    "TD3Config",
    "evaluate",
]
