"""Reinforcement learning on deepnp: algorithms as pages that read like their papers."""

from rl.agent import Agent
from rl.algorithms.actor_critic.ddpg import DDPG, DDPGConfig
from rl.algorithms.actor_critic.sac import SAC, SACConfig
from rl.algorithms.actor_critic.sac_lite import SACLite, SACLiteConfig
from rl.algorithms.actor_critic.sac_value import SACValue, SACValueConfig
from rl.algorithms.actor_critic.td2 import TD2, TD2Config
from rl.algorithms.actor_critic.td3 import TD3, TD3Config
from rl.algorithms.policy_gradient.ppo import PPO, PPOConfig
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
