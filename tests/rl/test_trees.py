"""Observations of images alone: their vector part has width 0."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rl
from rl.experience import trees


class Picture(gymnasium.Env):
    """Pictures and nothing else, of episodes that are truncated after three steps."""

    observation_space = spaces.Box(0, 255, (12, 12, 1), np.uint8)

    def __init__(self, continuous=False):
        self.action_space = spaces.Box(-1, 1, (2,), np.float32) if continuous else spaces.Discrete(3)

    def seen(self):
        return self.np_random.integers(0, 256, (12, 12, 1), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.seen(), {}

    def step(self, action):
        self.steps += 1
        return self.seen(), float(self.steps), False, self.steps == 3, {}


def test_steps_as_rows():
    steps = np.zeros((4, 3, 0), np.float32), np.arange(4 * 3 * 2).reshape(4, 3, 2)
    empty, rows = trees.flat(steps)
    assert empty.shape == (12, 0)
    np.testing.assert_array_equal(rows, np.arange(24).reshape(12, 2))


@pytest.mark.parametrize("memory", ["gru", "attention"])
@pytest.mark.parametrize("name", ["PPO", "A2C", "TRPO"])
def test_memories_of_images_alone_learn(name, memory):
    config = rl.ALGORITHMS[name].config(num_envs=2, steps=6, hidden=(8,), memory=memory, memory_size=8, memory_span=4)
    check_that_it_learns(name, Picture, config)


@pytest.mark.parametrize(
    ("name", "continuous", "settings"),
    [("OffPolicyPG", False, {}), ("DPG", True, {}), ("DPG", True, dict(compatible=False))],
)
def test_images_alone_are_learned_from(name, continuous, settings):
    config = rl.ALGORITHMS[name].config(num_envs=2, steps=6, hidden=(8,), **settings)
    check_that_it_learns(name, lambda: Picture(continuous), config)


def check_that_it_learns(name, make, config):
    agent = rl.ALGORITHMS[name].cls(make, config, seed=0)
    before = agent.policy.flat.data.copy()
    agent.learn(24)
    assert np.isfinite(agent.policy.flat.data).all()
    assert (agent.policy.flat.data != before).any()
