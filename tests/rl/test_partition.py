"""Choices by partition of [−1, 1]."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rl
from rl.experience.partition import Partitioned, VectorPartitioned
from tests.rl.toys import Allowed, Target, vectorize


class Echo(gymnasium.Env):
    """Keeps the action that it was given."""

    def __init__(self, action_space):
        self.observation_space, self.action_space = spaces.Box(-1, 1, (1,), np.float32), action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return np.zeros(1, np.float32), 0.0, False, False, {"action": np.array(action)}


CASES = [
    (spaces.Discrete(2), [[-1], [-1e-7], [0], [1]], [0, 0, 1, 1]),
    (spaces.Discrete(3, start=5), [[-0.34], [-0.33], [0.33], [0.34]], [5, 6, 6, 7]),
    (spaces.Discrete(4), [[-0.5], [-7], [7], [0.4999]], [1, 0, 3, 2]),
    (spaces.MultiDiscrete([2, 3], start=[0, 1]), [[-1, -1], [1, 1], [-0.1, 0]], [[0, 1], [1, 3], [0, 2]]),
    (spaces.MultiDiscrete([[2], [3]], dtype=np.int32), [[1, -1]], [[[1], [0]]]),
    (spaces.MultiBinary((2, 1)), [[-0.2, 0.2]], [[[0], [1]]]),
]


@pytest.mark.parametrize(("space", "u", "expected"), CASES, ids=lambda x: str(x)[:20])
def test_parts(space, u, expected):
    env, vector = Partitioned(Echo(space)), VectorPartitioned(vectorize(lambda: Echo(space), len(u)))
    assert env.action_space == vector.single_action_space == spaces.Box(-1, 1, (len(u[0]),), np.float32)
    env.reset()
    vector.reset()
    for one, wanted in zip(u, expected, strict=True):
        np.testing.assert_array_equal(env.step(np.float32(one))[-1]["action"], wanted)
    np.testing.assert_array_equal(vector.step(np.float32(u))[-1]["action"], expected)


def test_every_part_is_as_wide(rng):
    env = Partitioned(Echo(spaces.Discrete(7)))
    env.reset()
    drawn = [int(env.action(u)) for u in rng.uniform(-1, 1, (7000, 1))]
    np.testing.assert_allclose(np.bincount(drawn) / 1000, 1, atol=0.15)


@pytest.mark.parametrize("action", [[np.nan], [np.inf], [0, 0], 0.5, ["a"], [[0.5]]])
def test_actions_that_are_none(action):
    env = Partitioned(Echo(spaces.Discrete(3)))
    env.reset()
    with pytest.raises(ValueError, match=r"expected finite numbers in \[−1, 1\], one for each of 1 branches, given"):
        env.step(action)


def test_a_box_needs_no_parts():
    with pytest.raises(ValueError, match="expected actions that are choices"):
        Partitioned(gymnasium.make("Pendulum-v1"))


def test_masked_choices_are_refused():
    with pytest.raises(ValueError, match='expected observations without "action_mask"'):
        Partitioned(Allowed(spaces.Discrete(3)))
    with pytest.raises(ValueError, match='expected observations without "action_mask"'):
        VectorPartitioned(vectorize(lambda: Allowed(spaces.Discrete(3)), 2))


def test_sac_learns_a_choice():
    config = rl.SACConfig(num_envs=2, warmup=500, hidden=(32,), batch_size=64, lr=3e-3, gamma=0.0, updates=1, update_interval=2)
    agent = rl.SAC(lambda: Partitioned(Target(discrete=True)), config).learn(1200)
    assert rl.evaluate(agent, lambda: Partitioned(Target(discrete=True)), 50).mean() == 1


@pytest.mark.parametrize("name", ["TD3", "DDPG"])
def test_others_act_in_choices(name):
    """Echo asserts that each action is one of the space."""
    algorithm = rl.ALGORITHMS[name]
    config = algorithm.config(warmup=20, hidden=(8,), batch_size=16)
    agent = algorithm.cls(vectorize(lambda: Partitioned(Echo(spaces.MultiDiscrete([3, 2], start=[1, 0]))), 2), config).learn(60)
    assert agent.predict(np.zeros(1, np.float32)).shape == (2,)


def test_resume_equals_uninterrupted(tmp_path):
    def make():
        return Partitioned(gymnasium.make("CartPole-v1"))

    config = rl.SACConfig(warmup=50, hidden=(8,), batch_size=16)
    whole = rl.SAC(make, config, seed=3).learn(300)
    rl.SAC(make, config, seed=3).learn(150).save(tmp_path / "agent.safetensors")
    resumed = rl.SAC.load(tmp_path / "agent.safetensors", make).learn(300)
    np.testing.assert_array_equal(whole.policy.flat.data, resumed.policy.flat.data)
