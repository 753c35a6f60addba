"""Tiny environments whose right answers are known."""

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv


class Target(gymnasium.Env):
    """One step an episode: the reward is −(a − s)², or 1 for the right one of two choices. Best return: 0 or 1."""

    def __init__(self, discrete: bool = False):
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = spaces.Discrete(2) if discrete else spaces.Box(-2, 2, (1,), np.float32)
        self.discrete = discrete

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.float32(self.np_random.choice([-1.0, 1.0]) * 0.5)
        return np.array([self.state]), {}

    def step(self, action):
        reward = float(action == (self.state > 0)) if self.discrete else -float((action[0] - self.state) ** 2)
        return np.array([self.state]), reward, True, False, {}


class Endless(gymnasium.Env):
    """Constant reward 1, truncated every `limit` steps, never terminated: V = 1/(1 − γ) exactly, if truncation bootstraps."""

    def __init__(self, limit: int = 5):
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.limit = limit

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.count += 1
        return np.zeros(1, np.float32), 1.0, False, self.count >= self.limit, {}


class Counter(gymnasium.Env):
    """Observes how many steps the episode has had; terminates or is truncated after `limit`. For traces by hand."""

    def __init__(self, limit: int = 3, truncates: bool = False, broken: str | None = None):
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.limit, self.truncates, self.broken, self.episode = limit, truncates, broken, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.episode = 0, self.episode + 1
        return self._observe(), {}

    def step(self, action):
        self.count += 1
        done = self.count >= self.limit
        reward = np.nan if self.broken == "reward" and self.episode == 2 else float(self.count)
        return self._observe(), reward, done and not self.truncates, done and self.truncates, {"count": self.count}

    def _observe(self):
        bad = self.broken == "observation" and self.episode == 2 and self.count == 1
        return np.array([np.nan if bad else self.count, self.episode], np.float32)


def vectorize(make, copies: int, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> SyncVectorEnv:
    return SyncVectorEnv([make] * copies, autoreset_mode=mode)
