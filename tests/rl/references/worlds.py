"""Environments in which everything matters: no two observations, rewards or episode lengths are alike.

Each keeps a log of what happened, against which a memory or a rollout is compared.
"""

from typing import NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv


class Step(NamedTuple):
    """One transition, with the action as the environment received it."""

    observation: np.ndarray
    action: np.ndarray
    reward: float
    following: np.ndarray
    terminated: bool
    truncated: bool


class World(gymnasium.Env):
    """Random observations (3,), actions (2,) in [−2, 2]; episodes of 2 to 7 steps, half of them terminated, half truncated."""

    def __init__(self):
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = spaces.Box(-2, 2, (2,), np.float32)
        self.log: list[Step] = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left, self.terminates = int(self.np_random.integers(2, 8)), bool(self.np_random.random() < 0.5)
        self.observation = self._observe()
        return self.observation.copy(), {}

    def step(self, action):
        before, self.observation = self.observation, self._observe()
        self.left -= 1
        reward = float(np.float32(before.sum() - np.square(action - before[:2]).sum() + self.np_random.normal()))
        ends = self.left == 0
        self.log.append(
            Step(before, np.array(action), reward, self.observation, ends and self.terminates, ends and not self.terminates)
        )
        return self.observation.copy(), reward, ends and self.terminates, ends and not self.terminates, {}

    def _observe(self):
        return (5 + 2 * self.np_random.normal(size=3)).astype(np.float32)  # a mean for the normaliser to find


class Choices(World):
    """The same with three choices."""

    def __init__(self):
        super().__init__()
        self.action_space = spaces.Discrete(3)

    def step(self, action):
        following, reward, *ends = super().step(np.array([action - 1, 0]))
        return following, reward, *ends


class Worlds(SyncVectorEnv):
    """Several worlds, with a reflection that swaps the first two values of an observation and negates an action."""

    def __init__(self, copies: int = 2, mode: AutoresetMode = AutoresetMode.SAME_STEP):
        super().__init__([World] * copies, autoreset_mode=mode)

    def mirror(self):
        return {
            "observation_index": np.array([1, 0, 2]),
            "observation_sign": np.array([1, 1, -1], np.float32),
            "action_index": np.array([0, 1]),
            "action_sign": np.array([-1, 1], np.float32),
        }


class Goals(gymnasium.Env):
    """A point (2,) that moves by a tenth of the action; the reward is −[|goal − point| > 0.3], and the goal ends the episode."""

    def __init__(self):
        parts = {name: spaces.Box(-9, 9, (2,), np.float32) for name in ("observation", "desired_goal", "achieved_goal")}
        self.observation_space, self.action_space = spaces.Dict(parts), spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.goal = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        self.point, self.left = np.zeros(2, np.float32), int(self.np_random.integers(4, 9))
        return self._observe(), {}

    def step(self, action):
        self.point = self.point + np.float32(0.1) * action
        self.left -= 1
        reward = self.compute_reward(self.point, self.goal, {})
        return self._observe(), float(reward), self.compute_terminated(self.point, self.goal, {}), self.left == 0, {}

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -(np.linalg.norm(achieved_goal - desired_goal, axis=-1) > 0.3).astype(np.float32)

    def compute_terminated(self, achieved_goal, desired_goal, info):
        return bool(np.linalg.norm(achieved_goal - desired_goal) <= 0.3)

    def _observe(self):
        return {"observation": self.point.copy(), "desired_goal": self.goal, "achieved_goal": self.point.copy()}


class Lengths(gymnasium.Env):
    """An episode lasts 1 + seed mod 5 steps and pays 1, 2, 3, … ; later episodes pay 100 a step."""

    def __init__(self):
        self.observation_space, self.action_space = spaces.Box(-1, 1, (1,), np.float32), spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.first, self.count = seed is not None, 0
        self.limit = 1 + seed % 5 if self.first else 2
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.count += 1
        return np.zeros(1, np.float32), float(self.count) if self.first else 100.0, False, self.count >= self.limit, {}
