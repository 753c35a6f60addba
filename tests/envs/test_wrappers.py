"""Wrapped cores: against a plain loop, against Gymnasium's frame stack, in both autoreset modes, and saved and continued."""

import copy

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FrameStackObservation, TimeLimit

from envs.bodies.arm import ArmReach
from envs.bodies.crawler import Crawler
from envs.bodies.v5 import TASKS
from envs.core import Core
from envs.single import SingleEnv
from envs.vector import CoreVectorEnv
from envs.wrappers import DecisionPeriod, GeometricReward, StackedInputs
from tests.envs import same

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]
BUILD = {
    "period": lambda core: DecisionPeriod(core, 3),
    "zero": lambda core: DecisionPeriod(core, 3, repeat=False),
    "stack": lambda core: StackedInputs(core, 4),
    "both": lambda core: StackedInputs(DecisionPeriod(core, 2), 3),
    "geometric": lambda core: GeometricReward(core, ["reward_forward", "reward_survive"], 2.0),
}


class Counter(Core):
    """Counts its steps, pays the action, ends at `end`."""

    def __init__(self, num_envs, end=5, discrete=False):
        self.num_envs, self.end, self.render_fps = num_envs, end, 10.0
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
        box = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(3) if discrete else box
        self.count = np.zeros(num_envs)

    def reset(self, ids, rngs):
        self.count[ids] = 0

    def step(self, actions):
        self.count += 1
        return actions.reshape(self.num_envs).astype(float), self.count >= self.end

    def observe(self):
        return self.count[:, None].astype(np.float32)

    def info(self):
        return {"count": self.count.copy(), "half": np.full(self.num_envs, 0.5)}

    def render(self, copy):
        return np.zeros((1, 1, 3), np.uint8)

    def state(self):
        return {"count": self.count.copy()}

    def restore(self, state):
        self.count[:] = state["count"]

    def close(self):
        pass


def vector(core, mode=AutoresetMode.SAME_STEP, limit=None):
    env = CoreVectorEnv(core, limit, mode)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BUILD)
def test_vector_equals_singles_step_for_step(name, mode):
    build = BUILD[name]
    make = TASKS["Hopper"]
    singles = SyncVectorEnv([lambda: TimeLimit(SingleEnv(build(make(1, 1))), 15)] * 3, autoreset_mode=mode)
    ends, limits = same.vector_equals_singles(CoreVectorEnv(build(make(3, 1)), 15, mode), singles, 225)
    assert ends + limits > 25
    assert ends > 3


@pytest.mark.parametrize("name", BUILD)
def test_state_continues_bit_for_bit(name):
    same.state_continues(lambda copies, max_episode_steps: CoreVectorEnv(BUILD[name](TASKS["Hopper"](copies, 1)), 30, "SameStep"))


def test_dictionaries_pass_through_a_period():
    same.state_continues(lambda copies, max_episode_steps: CoreVectorEnv(DecisionPeriod(ArmReach(copies), 2), 30, "SameStep"))


def test_a_diverging_copy_ends_alone():
    same_core = lambda copies: CoreVectorEnv(Poisonable(Crawler(copies)), 100, "SameStep")  # noqa: E731
    same.a_diverging_copy_ends_alone(same_core, np.nan)


class Poisonable(DecisionPeriod):
    """A period whose body is in reach of the check."""

    def __init__(self, core):
        super().__init__(core, 2)
        self.body = core.body


class TestDecisionPeriod:
    def test_sums_rewards_and_repeats(self):
        env = vector(DecisionPeriod(Counter(2, end=100), 4))
        observations, rewards, *_ = env.step(np.array([[0.5], [-1.0]]))
        np.testing.assert_array_equal(rewards, [2.0, -4.0])
        np.testing.assert_array_equal(observations, [[4], [4]])
        assert env.core.render_fps == 2.5

    def test_or_acts_once(self):
        env = vector(DecisionPeriod(Counter(2, end=100), 4, repeat=False))
        np.testing.assert_array_equal(env.step(np.array([[0.5], [-1.0]]))[1], [0.5, -1.0])
        env = vector(DecisionPeriod(Counter(2, end=100, discrete=True), 4, repeat=False))
        np.testing.assert_array_equal(env.step(np.array([2, 1]))[1], [2, 1])

    @pytest.mark.parametrize("mode", MODES)
    def test_stops_where_the_episode_does(self, mode):
        env = vector(DecisionPeriod(Counter(1, end=5), 3), mode)
        env.step(np.ones((1, 1)))
        observations, rewards, terminated, _, infos = env.step(np.ones((1, 1)))
        assert terminated[0]
        assert rewards[0] == 2  # of three steps two were left
        last = infos["final_obs"][0] if mode is AutoresetMode.SAME_STEP else observations[0]
        np.testing.assert_array_equal(last, [5])
        told = infos["final_info"] if mode is AutoresetMode.SAME_STEP else infos
        assert told["count"][0] == 5
        if mode is AutoresetMode.NEXT_STEP:
            observations, rewards, *_ = env.step(np.ones((1, 1)))
            assert rewards[0] == 0
        np.testing.assert_array_equal(observations, [[0]])
        np.testing.assert_array_equal(env.step(np.ones((1, 1)))[0], [[3]])

    def test_a_copy_that_ended_early_is_restored_as_such(self):
        env = vector(DecisionPeriod(Counter(2, end=5), 3), AutoresetMode.NEXT_STEP)
        env.step(np.ones((2, 1)))
        observations, *_, infos = env.step(np.ones((2, 1)))
        twin = copy.deepcopy(env)
        np.testing.assert_array_equal(twin.core.observe(), observations)
        np.testing.assert_array_equal(twin.core.info()["count"], infos["count"])
        assert twin.core.core.observe()[0, 0] == 6  # the core went on


class TestStackedInputs:
    def test_is_gymnasiums_for_one_copy(self, rng):
        ours = SingleEnv(StackedInputs(TASKS["Hopper"](1, 1), 4))
        theirs = FrameStackObservation(SingleEnv(TASKS["Hopper"](1, 1)), 4, padding_type="zero")
        assert ours.observation_space == theirs.observation_space
        for seed in range(2):
            np.testing.assert_array_equal(ours.reset(seed=seed)[0], theirs.reset(seed=seed)[0])
            for _ in range(8):
                action = rng.uniform(-1, 1, 3).astype(np.float32)
                np.testing.assert_array_equal(ours.step(action)[0], theirs.step(action)[0])

    def test_zeros_before_the_start(self):
        env = vector(StackedInputs(Counter(1, end=3), 3))
        seen = [env.step(np.zeros((1, 1)))[0][0, :, 0].tolist() for _ in range(4)]
        assert seen == [[0, 0, 1], [0, 1, 2], [0, 0, 0], [0, 0, 1]]

    def test_what_was_given_stays_as_it_was(self):
        env = vector(StackedInputs(Counter(1, end=9), 2))
        first = env.step(np.zeros((1, 1)))[0]
        kept = first.copy()
        env.step(np.zeros((1, 1)))
        np.testing.assert_array_equal(first, kept)


def test_geometric_reward_is_the_scaled_product():
    env = vector(GeometricReward(Counter(3, end=9), ["count", "half"], 10.0))
    for k in range(1, 4):
        np.testing.assert_allclose(env.step(np.zeros((3, 1)))[1], 10 * k * 0.5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DecisionPeriod(Counter(1), 0), "steps >= 1, given 0"),
        (lambda: DecisionPeriod(Counter(1), 1.5), "steps >= 1, given 1.5"),
        (lambda: StackedInputs(Counter(1), -1), "frames >= 1, given -1"),
        (lambda: StackedInputs(ArmReach(1), 2), "vectors, or pictures without a channel axis, to stack, given Dict"),
        (lambda: GeometricReward(Counter(1), ["speed"]), r"infos \['count', 'half'\], given \['speed'\]"),
        (lambda: GeometricReward(Counter(1), []), r"given \[\]"),
    ],
)
def test_bad_parameters(build, message):
    with pytest.raises(ValueError, match=message):
        build()
