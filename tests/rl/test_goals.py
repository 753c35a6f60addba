"""Goal environments: flat observations, the sizes that agents know of them, Dicts to predict from, what is refused."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import rl
from deepnp import NonFiniteError
from rl.experience.environments import Resumable, make_vector, space_of
from rl.experience.spaces import SpaceInfo
from tests.rl.toys import Counter, Reach, ResumableReach, vectorize

SAME, NEXT = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP


def moves(limit=7, terminates=False):
    return lambda: Reach(limit, terminates, (0.0, 0.2))


class TestGoalEnvironments:
    @pytest.mark.parametrize("mode", [SAME, NEXT])
    def test_observations_are_flat(self, mode):
        env, twin = make_vector(vectorize(moves(3), 2, mode)), vectorize(moves(3), 2, mode)
        assert make_vector(env) is env
        assert env.single_observation_space.shape == (6,)
        assert env.observation_space.shape == (2, 6)
        flat, parts = env.reset(seed=5)[0], twin.reset(seed=5)[0]
        for _ in range(8):
            expected = [parts["observation"], parts["desired_goal"], parts["achieved_goal"]]
            np.testing.assert_array_equal(flat, np.concatenate(expected, axis=1))
            assert env.observation_space.contains(flat)
            actions = twin.action_space.sample()
            flat, *given, infos = env.step(actions)
            parts, *wanted, told_infos = twin.step(actions)
            np.testing.assert_array_equal(given, wanted)
            assert ("final_obs" in infos) == ("final_obs" in told_infos)
            for row, final in zip(infos.get("final_obs", ()), told_infos.get("final_obs", ()), strict=True):
                np.testing.assert_array_equal(row, [*final["observation"], *final["desired_goal"], *final["achieved_goal"]])

    def test_final_observations_may_be_one_dict(self):
        class Batched(SyncVectorEnv):
            def step(self, actions):
                *rest, infos = super().step(actions)
                if "final_obs" in infos:
                    infos["final_obs"] = {key: np.stack([o[key] for o in infos["final_obs"]]) for key in infos["final_obs"][0]}
                return *rest, infos

        flat, row = (make_vector(kind([moves(1)] * 2, autoreset_mode=SAME)) for kind in (Batched, SyncVectorEnv))
        results = []
        for env in (flat, row):
            env.reset(seed=0)
            results.append(np.stack(list(env.step(np.ones((2, 2), np.float32))[-1]["final_obs"])))
        np.testing.assert_array_equal(*results)

    def test_the_space_says_how_large_a_goal_is(self):
        space = space_of(make_vector(Reach()))
        assert space.goal == 2
        assert space.observations == 6
        assert SpaceInfo.from_json(space.to_json()) == space
        with pytest.raises(ValueError, match="expected goal 2, given 0"):
            space.check(SpaceInfo.from_json(space.to_json() | {"goal": 0}))

    def test_predicts_from_dicts(self):
        agent = rl.TD3(Reach(), rl.TD3Config(hindsight="future"), seed=0)
        single, batch = Reach().reset(seed=1)[0], vectorize(Reach, 3).reset(seed=1)[0]
        flat = make_vector(vectorize(Reach, 3)).reset(seed=1)[0]
        np.testing.assert_array_equal(agent.predict(batch), agent.predict(flat))
        np.testing.assert_allclose(agent.predict(single), agent.predict(flat)[0], rtol=1e-6)
        assert agent.predict(single).shape == (2,)
        with pytest.raises(ValueError, match=r"expected an observation with .*'desired_goal'.*, given \['observation'\]"):
            agent.predict({"observation": single["observation"]})
        with pytest.raises(ValueError, match=r"expected an observation of shape \(6,\)"):
            agent.predict({name: array[:1] for name, array in single.items()})

    def test_only_what_can_be_saved_says_so(self):
        assert isinstance(make_vector(ResumableReach(2)), Resumable)
        assert not isinstance(make_vector(vectorize(Reach, 2)), Resumable)

    def test_ppo_takes_them_as_they_are(self):
        agent = rl.PPO(vectorize(Reach, 2), rl.PPOConfig(num_envs=2), seed=0)
        assert agent.predict(Reach().reset(seed=0)[0]).shape == (2,)

    def test_goals_by_rows(self):
        env = make_vector(vectorize(moves(9, True), 2))
        a, g = np.float32([[0, 0], [1, 1], [0, 0.04]]), np.zeros((3, 2), np.float32)
        np.testing.assert_array_equal(env.rewards(a, g), [0, -1, 0])
        np.testing.assert_array_equal(env.terminated(a, g), [True, False, True])


class TestBadInput:
    def test_no_compute_reward(self):
        class Silent(gymnasium.Env):
            observation_space, action_space = Reach().observation_space, Reach().action_space

        with pytest.raises(ValueError, match=r"expected compute_reward\(achieved_goal, desired_goal, info\) .* has none"):
            make_vector(Silent())

    def test_goals_that_are_no_vectors_of_one_size(self):
        env = Reach()
        env.observation_space["desired_goal"] = spaces.Box(-1, 1, (3,))
        with pytest.raises(ValueError, match=r"expected goals of one size, given desired \(3,\) and achieved \(2,\)"):
            make_vector(env)
        env.observation_space["desired_goal"] = spaces.Discrete(3)
        with pytest.raises(ValueError, match="parts to be vectors, given Dict"):
            make_vector(env)

    def test_other_dicts_are_no_goal_environments(self):
        env = Counter()
        env.observation_space = spaces.Dict(observation=spaces.Box(-1, 1, (1,)))
        assert not rl.TD3(env).space.goal

    def test_a_reward_for_one_row_only(self):
        class Blind(Reach):
            def compute_reward(self, achieved_goal, desired_goal, info):
                return -1.0

        with pytest.raises(ValueError, match=r"expected compute_reward to return shape \(2,\) .* given \(\)"):
            make_vector(Blind()).rewards(np.zeros((2, 2)), np.zeros((2, 2)))


def test_an_agent_of_spaces_with_goals_learns_where_it_is_put():
    """`of_spaces` lays a goal environment's observations out as an environment does."""
    env, settings = Reach(), dict(hidden=(8,), batch_size=16, warmup=20, memory=400)
    agent = rl.SAC.of_spaces(env.observation_space, env.action_space, rl.SACConfig(**settings, hindsight="final"))
    assert env.action_space.contains(agent.predict(env.reset(seed=0)[0]))
    agent.set_env(env)
    assert agent.learn(60).steps == 60


@pytest.mark.parametrize("value", [1e300, np.nan])
def test_goals_in_float64(value):
    """Bounds that float32 does not hold are infinite; a value that it does not hold is an error with a name."""

    class Wide(Reach):
        def __init__(self):
            super().__init__()
            widest = np.finfo(np.float64).max
            self.observation_space = spaces.Dict(
                {key: spaces.Box(-widest, widest, (2,), np.float64) for key in self.observation_space}
            )

        def _observe(self):
            observation = {key: np.array(part, np.float64) for key, part in super()._observe().items()}
            observation["observation"][1] = value if self.count == 3 else 0
            return observation

    space = make_vector(Wide).single_observation_space
    assert np.isinf(space.high).all()
    assert np.isinf(space.low).all()
    agent = rl.SAC(Wide(), rl.SACConfig(hidden=(8,), batch_size=16, warmup=20, memory=400, hindsight="final"))
    with pytest.raises(NonFiniteError, match=r"at step 2: the environment returned observation (inf|nan)"):
        agent.learn(10)
