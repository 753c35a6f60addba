"""A learned model as a vector environment: what the collector, and whoever trains in it, sees."""

import re

import numpy as np
import pytest
from gymnasium import spaces

import rl
from rl.experience.collector import Collector, EpisodeStatistics
from rl.experience.learned import LearnedVector
from rl.experience.spaces import SpaceInfo
from rl.networks.dynamics_fit import Schedule, Transitions, fit
from rl.networks.learned_model import LearnedModel
from tests.rl.toys import space

SPACE = space(1, 1)


class Counting:
    """s′ = s + 1, reward a, terminated at 5."""

    def step(self, observations, actions, rng):
        following = observations + 1
        return following, actions[:, 0], following[:, 0] >= 5


def made(length=3, copies=2, starts=None, model=None):
    starts = starts or (lambda count: np.zeros((count, 1), "f"))
    return LearnedVector(model or Counting(), SPACE, starts, length, copies, np.random.default_rng(0))


def test_the_collector_steps_it():
    env, statistics = made(), EpisodeStatistics()
    collector = Collector(env, SPACE.observation, np.float32, seed=0)
    steps = [collector.step(np.full((2, 1), 0.5, "f"), statistics) for _ in range(4)]
    assert [step.truncated.all() for step in steps] == [False, False, True, False]
    assert not any(step.terminated.any() for step in steps)
    assert {n: final[0, 0] for n, final in steps[2].final.items()} == {0: 3, 1: 3}
    assert (statistics.returns, statistics.lengths) == ([1.5, 1.5], [3, 3])
    np.testing.assert_array_equal(collector.observations, [[1], [1]])


def test_where_the_model_ends_an_episode_it_is_terminated_not_truncated():
    env = made(length=5)
    env.reset()
    *_, terminated, truncated, infos = [env.step(np.zeros((2, 1), "f")) for _ in range(5)][-1]
    assert terminated.all()
    assert not truncated.any()
    np.testing.assert_array_equal(infos["final_obs"], [[5], [5]])


def test_copies_begin_where_starts_says_and_end_apart():
    draws = iter([[[0.0], [3.0]], [[-1.0]]])
    env = made(length=9, starts=lambda count: np.array(next(draws)))
    env.reset()
    env.step(np.zeros((2, 1), "f"))
    observations, *_, infos = env.step(np.zeros((2, 1), "f"))
    np.testing.assert_array_equal(observations, [[2], [-1]])
    np.testing.assert_array_equal(infos["_final_obs"], [False, True])


def test_observations_are_copies():
    env = made()
    first, _ = env.reset()
    second, *_ = env.step(np.zeros((2, 1), "f"))
    first[...], second[...] = 7, 7
    assert env.observations.max() == 1


def test_impossible_lengths_are_refused():
    with pytest.raises(ValueError, match="expected episodes of one step or more in one copy or more, given 0 and 2"):
        made(length=0)


def test_an_agent_learns_in_a_model_what_holds_in_the_world(rng):
    """The reward is −(2a − s)², and an episode has one step: the agent sees the model alone."""
    s, a = rng.uniform(-1, 1, (2, 2000, 1)).astype("f")
    model = LearnedModel(SPACE, (32, 32), "silu", 2, 2, False, 3e-3, Schedule(64, 20, 0.1, 5), False, rng)
    data = Transitions(s, a, -np.square(2 * a - s)[:, 0], s, np.zeros(len(s), bool))
    fit(model.network, model.optimizer, data, model.plan, rng)
    imagined = LearnedVector(model, SPACE, lambda count: rng.uniform(-1, 1, (count, 1)), 1, 8, rng)
    config = rl.DDPGConfig(hidden=(32, 32), warmup=200, batch_size=64, lr=3e-3, update_interval=4, memory=5000)
    agent = rl.DDPG(imagined, config, seed=0).learn(2400)
    where = np.linspace(-0.9, 0.9, 7, dtype="f")[:, None]
    np.testing.assert_allclose(agent.predict(where), where / 2, atol=0.1)


@pytest.mark.parametrize("ends", [True, False, lambda s, a, s_next: s_next[:, 0] + a[:, 0] > s[:, 0] + 1])
def test_imagined_steps_end_where_the_network_says_so_never_or_by_a_rule(rng, ends):
    model = LearnedModel(SPACE, (8,), "silu", 2, 2, False, 3e-3, Schedule(64, 20, 0.1, 5), ends, rng)
    s, a = rng.uniform(-1, 1, (2, 200, 1)).astype("f")
    learned = rng.random(200) < 0.5
    model.network.step = lambda s, a, members, rng: (s + 2 * a, s[:, 0], learned)
    expected = learned if ends is True else np.zeros(200, bool) if ends is False else 3 * a[:, 0] > 1
    given = [model.step(s, a, rng), model.step_of(s, a, np.zeros(200, int), rng), model.mean_step(s, a)]
    assert all(np.array_equal(ended, expected) for *_, ended in given)


def test_a_rule_of_another_shape_is_refused(rng):
    model = LearnedModel(SPACE, (8,), "silu", 2, 2, False, 3e-3, Schedule(64, 20, 0.1, 5), lambda s, a, f: f > 1, rng)
    with pytest.raises(ValueError, match=r"expected ends of imagined steps of shape \(5,\), given \(5, 1\)"):
        model.step(*np.zeros((2, 5, 1), "f"), rng)


def test_choices_are_choices():
    info = SpaceInfo.of(spaces.Box(-1, 1, (3,)), spaces.Discrete(4, start=2))
    env = LearnedVector(Counting(), info, lambda count: np.zeros((count, 3)), 2, 2, np.random.default_rng(0))
    assert env.single_action_space == spaces.Discrete(4)


def test_rewards_that_are_known_take_the_place_of_the_learned_ones(rng):
    model = LearnedModel(SPACE, (8,), "silu", 2, 2, False, 3e-3, Schedule(64, 20, 0.1, 5), True, rng)
    s, a = rng.normal(size=(5, SPACE.observations)).astype("f"), rng.uniform(-1, 1, (5, SPACE.actions)).astype("f")
    members = np.zeros(5, int)
    following, learned, _ = model.step_of(s, a, members, None)
    model.rewards = lambda s, a, s_next: 2.0 * s_next[:, 0] - a[:, 0] + s[:, 0]
    known = model.step_of(s, a, members, None)[1]
    np.testing.assert_allclose(known, 2 * following[:, 0] - a[:, 0] + s[:, 0], rtol=1e-6)
    assert known.dtype == learned.dtype
    np.testing.assert_allclose(model.mean_step(s, a)[1], (known + model.step_of(s, a, members + 1, None)[1]) / 2, rtol=1e-5)
    model.rewards = lambda s, a, s_next: s_next[:, :1]
    with pytest.raises(ValueError, match=r"expected rewards of imagined steps of shape \(5,\), given \(5, 1\)"):
        model.step_of(s, a, members, None)


@pytest.mark.parametrize("action", [spaces.Box(-2, 2, (1,), np.float32), spaces.Discrete(3, start=5)])
def test_a_rule_is_given_actions_as_the_environment_takes_them(rng, action):
    info = SpaceInfo.of(spaces.Box(-1, 1, (1,), np.float32), action)
    model = LearnedModel(info, (8,), "silu", 1, 1, False, 3e-3, Schedule(64, 20, 0.1, 5), False, rng)
    own, taken = (np.array([[0.5], [-1]], "f"), [[1], [-2]]) if isinstance(action, spaces.Box) else (np.array([0, 2]), [5, 7])
    seen = []
    model.ends = lambda s, a, s_next: (seen.append(a), np.zeros(2, bool))[1]
    model.rewards = lambda s, a, s_next: (seen.append(a), np.zeros(2))[1]
    model.step(np.zeros((2, 1), "f"), own, rng)
    assert len(seen) == 2
    np.testing.assert_array_equal(seen, [taken, taken])


@pytest.mark.parametrize("given", [[0, 1, 0], [0.0, 1.0, 0.0], [False, True, False]])
def test_a_rule_may_say_0_and_1(rng, given):
    model = LearnedModel(SPACE, (8,), "silu", 2, 2, False, 3e-3, Schedule(64, 20, 0.1, 5), lambda *_: given, rng)
    for *_, ended in (model.step(*np.zeros((2, 3, 1), "f"), rng), model.mean_step(*np.zeros((2, 3, 1), "f"))):
        assert ended.dtype == bool
        np.testing.assert_array_equal(ended, [False, True, False])


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        (dict(ends="never"), TypeError, "expected ends as a bool, or as a function of (s, a, s′), given 'never'"),
        (dict(rewards=True), TypeError, "expected rewards as None, or as a function of (s, a, s′), given True"),
        (dict(ends=lambda *_: [0, np.nan, 0.5]), ValueError, "as booleans by the rule agent.model.ends, given [nan 0.5]"),
        (dict(rewards=lambda *_: [0, np.nan, 1]), ValueError, "as finite numbers by the rule agent.model.rewards, given [nan]"),
        (
            dict(rewards=lambda *_: ["a", "b", "c"]),
            ValueError,
            "as finite numbers by the rule agent.model.rewards, given ['a' 'b' 'c']",
        ),
    ],
)
def test_wrong_rules_are_refused(rng, rules, error, message):
    model = LearnedModel(SPACE, (8,), "silu", 2, 2, False, 3e-3, Schedule(64, 20, 0.1, 5), True, rng)
    with pytest.raises(error, match=re.escape(message)):  # noqa: PT012
        for name, rule in rules.items():
            setattr(model, name, rule)
        model.step(*np.zeros((2, 3, 1), "f"), rng)
