"""Data sets of arrays: what people have is taken as it is, or refused in words."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rl.experience.actions import ActionLayout
from rl.experience.datasets import DataSet
from tests.rl.test_datasets import assert_same
from tests.rl.toys import Target


class TestArrays:
    """What people have: lists of what an environment gave and took."""

    observations = np.array([[0.0], [0.1], [0.2], [0.3], [0.4]], np.float32)
    actions = np.array([[-2.0], [2.0], [0.0], [1.0], [np.nextafter(np.float32(2), np.float32(3))]])

    def test_what_follows_is_the_next_row(self):
        data = DataSet.of_arrays(Target(), self.observations, self.actions, range(5), [0, 1, 0, 0, 0], [0, 0, 0, 0, 1])
        np.testing.assert_array_equal(data.observations[:, 0], self.observations[:4, 0])  # what followed the last is not known
        np.testing.assert_allclose(data.actions[:, 0], [-1, 1, 0, 0.5])
        np.testing.assert_array_equal(data.next_observations[[0, 2, 3], 0], self.observations[[1, 3, 4], 0])
        np.testing.assert_array_equal(np.flatnonzero(data.terminated), [1])
        np.testing.assert_array_equal(np.flatnonzero(data.truncated), [3])

    def test_what_follows_is_given(self):
        following = self.observations + 1
        data = DataSet.of_arrays(Target(), self.observations, self.actions, range(5), [0] * 5, [0] * 5, following)
        assert len(data) == 5
        np.testing.assert_array_equal(data.next_observations, following)
        assert data.actions[4, 0] == 1  # beyond the bounds by rounding: clipped
        assert data.truncated[4]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (dict(rewards=[0.0] * 4), "expected as many rows of everything, given .5, 5, 4, 5, 5."),
            (dict(actions=np.zeros(5)), r"expected actions of shape \(N, 1\) for Box, given \(5,\)"),
            (dict(actions=np.full((5, 1), "a")), r"expected actions of shape"),
            (dict(observations=np.full((5, 1), np.nan)), "expected a finite observation, given NaN"),
            (dict(rewards=[0, 1, np.inf, 0, 0]), "expected finite rewards, given inf in row 2"),
            (dict(observations=np.zeros((5, 2))), r"expected an observation of shape \(1,\)"),
            (dict(rewards=["1.2"] * 5), r"expected rewards as numbers \(R,\), given <U3 of shape \(5,\)"),
            (dict(rewards=[None] * 5), "expected rewards as numbers .*given object"),
            (dict(rewards=np.zeros((5, 1))), r"expected rewards as numbers \(R,\), given float64 of shape \(5, 1\)"),
            (dict(rewards=[0, 0, 1e39, 0, 0]), r"expected rewards within float32, given 1e\+39 in row 2"),
            (dict(actions=[[0], [0], [100], [0], [0]]), r"expected actions within \[-2.0, 2.0\], given 100 in row 2"),
            (dict(actions=[[0], [np.inf], [0], [0], [0]]), r"expected actions within \[-2.0, 2.0\], given inf in row 1"),
            (dict(actions=[[0], [np.nan], [0], [0], [0]]), "given nan in row 1"),
            (dict(actions=np.full((5, 1), -2.00001)), "given -2.00001 in row 0"),
            (dict(terminated=["False"] * 5), "expected terminated as bools .*, or 0 and 1, given <U5"),
            (dict(terminated=[0, 0, np.nan, 0, 0]), "expected terminated as bools .*, given nan in row 2"),
            (dict(truncated=[0, 0.5, 0, 0, 0]), "expected truncated as bools .*, given 0.5 in row 1"),
            (dict(truncated=False), "expected truncated as bools .*, given False"),
            (dict(truncated=np.zeros((5, 1), bool)), r"given bool of shape \(5, 1\)"),
            (dict(next_observations=np.zeros((4, 1))), "expected as many rows of everything, given .5, 5, 5, 5, 5, 4."),
            (dict(about="text"), "expected about as a mapping of names to what is known, given 'text'"),
            (dict(about={"a": np.zeros(2)}), r"expected about\['a'\] as JSON holds it .*, given ndarray"),
            (dict(about={"a": {3: 1}}), r"expected text as the keys of about\['a'\], given 3"),
        ],
    )
    def test_what_does_not_fit(self, change, message):
        given = dict(observations=self.observations, actions=self.actions, rewards=[0.0] * 5)
        given |= dict(terminated=[0] * 5, truncated=[0] * 5)
        with pytest.raises(ValueError, match=message):
            DataSet.of_arrays(Target(), **{**given, **change})

    def test_switches_are_on_or_off(self):
        env = Target()
        env.action_space = spaces.MultiBinary(2)
        rest = np.zeros(2), [1, 1], None
        data = DataSet.of_arrays(env, np.zeros((2, 1)), np.array([[0, 1], [1, 0]]), *rest)
        np.testing.assert_array_equal(data.actions, [[0, 1], [1, 0]])
        for number in (256, 257):
            with pytest.raises(ValueError, match=rf"within \[0, 1\], given {number} in row 1, number 1"):
                DataSet.of_arrays(env, np.zeros((2, 1)), np.array([[0, 1], [1, number]]), *rest)

    def test_choices_that_the_row_s_mask_excludes(self):
        env = Target()
        env.action_space = spaces.MultiDiscrete([2, 3], start=[1, 0])
        env.observation_space = spaces.Dict(x=env.observation_space, action_mask=spaces.MultiBinary(5))
        observations = {"x": np.zeros((2, 1)), "action_mask": np.array([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1]], np.int8)}
        data = DataSet.of_arrays(env, observations, np.array([[1, 1], [2, 2]]), [0, 0], [1, 1], None)
        np.testing.assert_array_equal(data.actions, [[0, 1], [1, 2]])
        with pytest.raises(ValueError, match=r"one of each of \[\[1\], \[0, 2\]\], given \[1, 1\] in row 1"):
            DataSet.of_arrays(env, observations, np.array([[1, 1], [2, 1]]), [0, 0], [1, 1], None)
        with pytest.raises(ValueError, match="their row's action_mask allows"):
            replace(data, actions=data.actions[::-1].copy())

    def test_without_truncation_the_edge_of_the_data_truncates(self):
        rows = Target(), self.observations, self.actions, range(5), [0, 1, 0, 0, 0]
        assert_same(DataSet.of_arrays(*rows, None), DataSet.of_arrays(*rows, [0] * 5))
        data = DataSet.of_arrays(*rows, None)
        assert len(data) == 4  # what followed the last is not known
        np.testing.assert_array_equal(np.flatnonzero(data.truncated), [3])
        data = DataSet.of_arrays(*rows, None, self.observations + 1)
        np.testing.assert_array_equal(np.flatnonzero(data.truncated), [4])

    def test_no_row_whose_next_is_known(self):
        rows = self.observations[:1], self.actions[:1], [1.0], [False], [False]
        with pytest.raises(ValueError, match=r"whose next observation is known, given none in 1: without next_obs.* left out"):
            DataSet.of_arrays(Target(), *rows)
        with pytest.raises(ValueError, match="at least one row"):
            DataSet.of_arrays(Target(), *(x[:0] for x in rows))

    @pytest.mark.parametrize(
        "env",
        [
            Target,
            lambda: Target(),
            [Target, Target],
            gymnasium.vector.SyncVectorEnv([Target, Target]),
            gymnasium.envs.registration.EnvSpec("Some-v0", Target),
        ],
        ids=["class", "factory", "list", "vector", "spec"],
    )
    def test_whatever_stands_for_an_environment(self, env):
        rows = self.observations, self.actions, range(5), [0] * 5, None
        data = DataSet.of_arrays(env, *rows)
        np.testing.assert_array_equal(data.actions, DataSet.of_arrays(Target(), *rows).actions)

    def test_settings_and_unknown_environments(self):
        rows = np.full(3, 40), np.zeros(3, int), np.zeros(3), [0, 0, 1], None
        assert DataSet.of_arrays("FrozenLake-v1", *rows, env_settings={"map_name": "8x8"}).space.observations == 64
        with pytest.raises(ValueError, match="expected choices in"):
            DataSet.of_arrays("FrozenLake-v1", *rows)
        with pytest.raises(ValueError, match='unknown environment "Frozen-v9"'):
            DataSet.of_arrays("Frozen-v9", *rows)
        with pytest.raises(ValueError, match=r"expected an environment's id, an Env, .* given int"):
            DataSet.of_arrays(3, *rows)


class TestActions:
    @pytest.mark.parametrize(
        "kind",
        [
            spaces.Box(np.array([-2.0, 0.0], "f"), np.array([2.0, 10.0], "f")),
            spaces.Box(-1e308, 1e308, (2,), np.float64),
            spaces.Box(-np.inf, np.inf, (2, 3), np.float32),
            spaces.Discrete(3, start=5),
            spaces.MultiDiscrete([2, 4], start=[1, 0]),
            spaces.MultiBinary((2, 2)),
        ],
        ids=str,
    )
    def test_from_the_environment_and_back(self, rng, kind):
        layout = ActionLayout.of(kind)
        own = layout.random(7, rng)
        np.testing.assert_allclose(layout.from_environment(layout.to_environment(own)), own, atol=1e-5)

    def test_a_dict_is_refused(self):
        env = gymnasium.make("Pendulum-v1")
        env.action_space = spaces.Dict(a=spaces.Discrete(2))
        with pytest.raises(ValueError, match="expected actions in one space, given Dict"):
            DataSet.of_arrays(env, np.zeros((2, 3)), np.zeros(2), [0, 0], [0, 0], [0, 1])
