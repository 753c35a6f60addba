"""One copy of an environment is stepped without a vector around it, and nobody can tell."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rl.experience.checked import Checked
from rl.experience.environments import make_vector, name_of
from rl.experience.single import OneCopy
from tests.rl.toys import Counter, Target

UNBOUNDED = {"low": -np.inf, "high": np.inf}
SPACES = {
    "array": spaces.Box(**UNBOUNDED, shape=(3,), dtype=np.float32),
    "array of another type": spaces.Box(**UNBOUNDED, shape=(3,), dtype=np.float64),
    "number": spaces.Box(**UNBOUNDED, shape=(), dtype=np.float64),
    "choice": spaces.Discrete(9, start=2),
    "parts": spaces.Dict(a=spaces.Box(-9, 9, (2,), np.float32), b=spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(2)))),
}
ACTIONS = spaces.Box(-1, 1, (2,)), spaces.Discrete(4, start=1), spaces.MultiDiscrete([2, 3]), spaces.Dict(x=spaces.Discrete(2))


class Talkative(gymnasium.Env):
    """Ends at random, hands out one array and one reward again and again, and says things of every kind."""

    metadata = {"render_modes": ["rgb_array"]}
    render_mode = "rgb_array"

    def __init__(self, kind="array", action_space=ACTIONS[0]):
        self.observation_space, self.action_space = SPACES[kind], action_space
        self.numbers, self.reward, self.kind = np.zeros(3, np.float32), np.zeros(()), kind

    def _observation(self):
        self.numbers[:] = self.np_random.normal(size=3)
        if self.kind.startswith("array"):
            return self.numbers
        if self.kind == "number":
            return float(self.numbers[0])
        if self.kind == "choice":
            return int(self.np_random.integers(2, 11))
        return {"a": self.numbers[:2], "b": (np.int64(self.np_random.integers(3)), np.ones(2, np.int8))}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.reward[()] = 0
        return self._observation(), {"start": 1.5, "options": options, "numbers": self.numbers}

    def step(self, action):
        assert action in self.action_space
        observation, ends = self._observation(), self.np_random.random(2) < 0.2
        self.reward[()] = self.np_random.normal()
        kinds = {"float": 2.5, "int": 3, "bool": True, "numpy": np.float32(1.5), "flag": np.bool_(True), "none": None, "word": "a"}
        infos = {**kinds, "numbers": self.numbers, "inner": {"x": 1, "deeper": {"y": np.ones((2, 2))}}}
        return observation, self.reward, bool(ends[0]), ends[1], infos if self.np_random.random() < 0.8 else {}

    def render(self):
        return np.full((2, 2, 3), 7, np.uint8)


def assert_same(a, b):
    """Equal, and of the same types, in all parts."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        a, b = tuple(a.values()), tuple(b.values())
    if isinstance(a, tuple):
        for pair in zip(a, b, strict=True):
            assert_same(*pair)
    elif isinstance(a, np.ndarray) and a.dtype == object:
        assert a.shape == b.shape
        assert_same(tuple(a.flat), tuple(b.flat))
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b


def pair(*settings):
    theirs = SyncVectorEnv([lambda: Checked(Talkative(*settings))], autoreset_mode=AutoresetMode.SAME_STEP)
    return OneCopy(Checked(Talkative(*settings))), theirs


class TestEqualsGymnasiums:
    """Everything that a `SyncVectorEnv` of one copy hands out, and does."""

    @pytest.mark.parametrize(("kind", "action_space"), [*((kind, ACTIONS[0]) for kind in SPACES), *(("array", a) for a in ACTIONS)])
    def test_step_for_step(self, kind, action_space):
        ours, theirs = pair(kind, action_space)
        ours.action_space.seed(0)
        assert_same(ours.reset(seed=5, options={"x": 1}), theirs.reset(seed=5, options={"x": 1}))
        kept, ends = [], 0
        for _ in range(60):
            actions = ours.action_space.sample()
            results, expected = ours.step(actions), theirs.step(actions)
            assert_same(results, expected)
            kept.append((results, expected))
            ends += "final_obs" in results[-1]
        assert 5 < ends < 55
        for results, expected in kept:  # what was handed out is the caller's own
            assert_same(results, expected)
        assert_same(ours.reset(), theirs.reset())

    def test_attributes_and_calls(self):
        ours, theirs = pair()
        for env in (ours, theirs):
            env.reset(seed=3)
            env.set_attr("mark", 4)
        assert ours.get_attr("mark") == theirs.get_attr("mark") == (4,)
        assert_same(ours.render(), theirs.render())
        assert_same(ours.call("render"), theirs.call("render"))
        assert ours.np_random_seed == theirs.np_random_seed == (3,)
        assert ours.metadata == theirs.metadata
        assert ours.single_observation_space == theirs.single_observation_space
        assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
        ours.close()
        assert ours.closed

    def test_actions_of_two_copies_are_refused(self):
        ours, _ = pair()
        ours.reset(seed=0)
        with pytest.raises(ValueError, match="too many values"):
            ours.step(np.zeros((2, 2), np.float32))


def test_without_infos_only_where_no_episode_ended():
    ours, theirs = pair()
    assert_same(ours.reset(seed=5), theirs.reset(seed=5))
    ends = 0
    for _ in range(60):
        actions = np.zeros((1, 2), np.float32)
        *results, infos = ours.step_without_infos(actions)
        *expected, expected_infos = theirs.step(actions)
        assert_same(tuple(results), tuple(expected))
        ended = results[2].any() or results[3].any()
        ends += ended
        assert_same(infos, expected_infos if ended else {})
    assert ends > 5


SOURCES = "Pendulum-v1", gymnasium.spec("Pendulum-v1"), lambda: gymnasium.make("Pendulum-v1"), ["Pendulum-v1"]


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_made_alone(source):
    vector = make_vector(source)
    assert isinstance(vector, OneCopy)
    assert name_of(vector) == "Pendulum-v1"
    vector.close()
    if not isinstance(source, list):
        assert not isinstance(make_vector(source, 2), OneCopy)


def test_what_was_handed_in_is_what_is_stepped():
    env = Target()
    assert make_vector(env).envs[0].unwrapped is env
    vector = SyncVectorEnv([Counter], autoreset_mode=AutoresetMode.NEXT_STEP)
    assert make_vector(vector) is vector
