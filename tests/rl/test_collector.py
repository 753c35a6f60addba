"""What the collector lets through: every number that float32 holds and no other; and how episodes end."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from deepnp import NonFiniteError
from rl.experience.collector import Collector, EpisodeStatistics
from rl.experience.environments import make_vector, space_of

LARGEST = {np.float16: 65504.0, np.float32: 3.4e38, np.float64: 3.4e38}


class Giving(gymnasium.Env):
    """Gives what it is told to: one number of each observation, as a vector or an image, the reward, and how it ends."""

    def __init__(self, dtype, shape=(3,)):
        self.observation_space = spaces.Box(-np.inf, np.inf, shape, dtype)
        self.action_space = spaces.Box(-np.inf, np.inf, (2,), dtype)
        self.value, self.reward, self.ends = 0.0, 0.0, (False, False)

    def reset(self, *, seed=None, options=None):
        return np.zeros(self.observation_space.shape, self.observation_space.dtype), {}

    def step(self, action):
        observation = self.reset()[0]
        observation.ravel()[1] = self.value
        return observation, self.reward, *self.ends, {}


@pytest.mark.parametrize(("ends", "expected"), [((True, True), (True, False)), ((False, True), (False, True))])
def test_an_episode_ends_in_one_way(ends, expected):
    env, statistics = Giving(np.float32), EpisodeStatistics()
    vector = make_vector(env)
    collector = Collector(vector, space_of(vector).observation, np.float32, seed=0)
    env.ends, env.reward = ends, 2.0
    step = collector.step(np.zeros((1, 2), np.float32), statistics)
    assert (step.terminated.tolist(), step.truncated.tolist()) == ([expected[0]], [expected[1]])
    assert statistics.means() == {"episode_return": 2.0, "episode_length": 1.0}


@pytest.fixture(params=[(dtype, shape) for dtype in LARGEST for shape in ((3,), (8, 8, 3))], ids=str)
def world(request):
    """An environment, how it is stepped, and its largest number."""
    dtype, shape = request.param
    env = Giving(dtype, shape)
    vector = make_vector(env)
    collector = Collector(vector, space_of(vector).observation, np.float64, seed=0)

    def step(actions=(0.0, 0.0)):
        return collector.step(np.array([actions], dtype), EpisodeStatistics())

    return env, step, LARGEST[dtype]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_numbers_are_let_through(world, sign):
    env, step, largest = world
    env.value = env.reward = sign * largest
    assert step((sign * largest, 0.0)).rewards == [sign * largest]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_others_stop_there_with_their_place(world, value):
    env, step, _ = world
    with pytest.raises(NonFiniteError, match=rf"the policy's action is {value} at index \(0, 1\)"):
        step((0.0, value))
    env.reward = value
    with pytest.raises(NonFiniteError, match=rf"the environment returned reward {value} at index \(0,\)"):
        step()
    env.reward, env.value = 0.0, value
    with pytest.raises(NonFiniteError, match=rf"the environment returned observation {value} at index \(0, "):
        step()


@pytest.mark.parametrize("value", [1e39, -1e300])
def test_what_float32_does_not_hold(value):
    env = Giving(np.float64)
    vector = make_vector(env)
    collector = Collector(vector, space_of(vector).observation, np.float64, seed=0)
    env.value = value
    with pytest.raises(NonFiniteError, match="the environment returned observation"):
        collector.step(np.zeros((1, 2)), EpisodeStatistics())
    env.value, env.reward = 0.0, value
    with pytest.raises(NonFiniteError, match="the environment returned reward"):
        collector.step(np.zeros((1, 2)), EpisodeStatistics())
    with pytest.raises(NonFiniteError, match="the policy's action"):
        collector.step(np.array([[0.0, value]]), EpisodeStatistics())
