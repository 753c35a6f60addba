"""What an environment may do, and what it may be: names, factories, buffers, wrappers, endings, numbers that are none."""

import copy
import functools
import gc
import re
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs  # noqa: F401  (registers deepnp/…)
import rl
from deepnp import NonFiniteError
from rl.experience.environments import make_vector, name_of
from rl.experience.goals import KEYS
from rl.training.evaluation import play
from tests.rl.toys import Counter, Reach, Target, vectorize

SAME, NEXT = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP
SMALL = dict(hidden=(8,), batch_size=16, warmup=20, memory=400)


def sac(env, **settings):
    return rl.SAC(env, rl.SACConfig(**{**SMALL, **settings}))


def ppo(env, **settings):
    return rl.PPO(env, rl.PPOConfig(**{"steps": 20, "hidden": (8,), **settings}))


class TestWhatStandsForAnEnvironment:
    """Everything that `gymnasium.make` takes, and more."""

    @pytest.mark.parametrize("copies", [1, 3])
    def test_ids_specs_and_factories(self, copies):
        factory = functools.partial(gymnasium.make, "Pendulum-v1", g=9.0)
        for env in ("Pendulum-v1", "gymnasium.envs.classic_control:Pendulum-v1", gymnasium.spec("Pendulum-v1"), factory):
            vector = make_vector(env, copies)
            assert vector.num_envs == copies
            assert name_of(vector) == "Pendulum-v1"
            vector.close()
        assert make_vector(factory, 2).envs[1].unwrapped.g == 9.0

    def test_lists_of_any_of_these(self):
        vector = make_vector(["Pendulum-v1", gymnasium.make("Pendulum-v1", g=1.0), lambda: gymnasium.make("Pendulum-v1", g=2.0)])
        assert [env.unwrapped.g for env in vector.envs] == [10.0, 1.0, 2.0]

    def test_settings_of_an_id(self):
        agent = rl.PPO("Pendulum-v1", rl.PPOConfig(num_envs=2), env_settings={"g": 3.0})
        assert agent.env.envs[1].unwrapped.g == 3.0
        with pytest.raises(ValueError, match=r"expected settings only for an environment's id, given \['g'\] for Target"):
            rl.PPO(Target(), env_settings={"g": 3.0})

    def test_one_environment_is_no_eight(self):
        with pytest.raises(ValueError, match="expected an id or a factory for 8 copies, given one Target"):
            ppo(Target(), num_envs=8)

    @pytest.mark.parametrize("wrong", ["no_such_module:Pendulum-v1", "Pendulm-v1", "", 3, None, [], [3], lambda: 3])
    def test_what_is_none_is_refused(self, wrong):
        with pytest.raises(ValueError, match=r"unknown environment|expected"):
            make_vector(wrong)


class Recycling(gymnasium.Env):
    """Hands out one array again and again, and one Dict, if asked."""

    def __init__(self, nested=False):
        box, self.nested = spaces.Box(-np.inf, np.inf, (1,), np.float32), nested
        self.observation_space = spaces.Dict(count=box) if nested else box
        self.action_space, self.array = spaces.Box(-1, 1, (1,), np.float32), np.zeros(1, np.float32)
        self.observation = {"count": self.array} if nested else self.array

    def reset(self, *, seed=None, options=None):
        self.array[0] = 0
        return self.observation, {}

    def step(self, action):
        self.array[0] += 1
        return self.observation, 1.0, False, self.array[0] == 4, {}


@pytest.mark.parametrize("nested", [False, True])
def test_one_array_handed_out_again_and_again(nested):
    agent = sac(Recycling(nested), warmup=10**6)
    agent.learn(12)
    before, after = agent.memory.observations[:12, 0], agent.memory.next_observations[:12, 0]
    np.testing.assert_array_equal(before, [0, 1, 2, 3] * 3)
    np.testing.assert_array_equal(after, [1, 2, 3, 4] * 3)


class Foreign(SyncVectorEnv):
    """Somebody's vector environment that leaves out some of its infos."""

    def __init__(self, makers, lost):
        super().__init__(makers, autoreset_mode=SAME)
        self.lost = lost

    def step(self, actions):
        *rest, infos = super().step(actions)
        return *rest, {name: value for name, value in infos.items() if name.strip("_") != self.lost}


def test_without_final_infos_nothing_of_the_next_episode_is_reported():
    agent = ppo(Counter(3))
    results = play(agent, Foreign([lambda: Counter(3)] * 2, "final_info"), 2)
    np.testing.assert_array_equal(results["return"], 6)
    assert "count" not in results


@pytest.mark.parametrize("make", [sac, ppo])
def test_without_final_observations_there_is_an_error_in_words(make):
    with pytest.raises(ValueError, match='expected "final_obs" in the infos of a SAME_STEP environment'):
        make(Foreign([lambda: Counter(3)] * 2, "final_obs")).learn(40)


class Doubled(gymnasium.Wrapper):
    """Pays ten times as much, in `step` and in `compute_reward`."""

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return observation, 10 * reward, *rest

    def compute_reward(self, achieved_goal, desired_goal, info):
        return 10 * self.env.unwrapped.compute_reward(achieved_goal, desired_goal, info)


def test_a_wrapper_s_reward_is_the_reward_in_hindsight(rng):
    agent = rl.TD3(vectorize(lambda: Doubled(Reach(9, False, (0.0, 0.2))), 2), rl.TD3Config(**SMALL, hindsight="future"))
    agent.learn(200)
    from rl.loops.off_policy import draw_batch

    rewards = np.concatenate([draw_batch(agent, 0.0).rewards for _ in range(30)])
    assert set(np.unique(rewards)) == {-10.0, 0.0}


class TestBudgets:
    """Steps that happened count, and no others; budgets and schedules are exact to the copy."""

    @pytest.mark.parametrize("make", [sac, ppo])
    def test_dead_steps_do_not_count(self, make):
        agent = make(vectorize(lambda: Counter(1), 2, NEXT))  # every second step never happens
        env, calls = agent.env, []
        step = env.step
        env.step = lambda actions: calls.append(1) or step(actions)
        agent.learn(100)
        assert agent.steps == 100
        assert len(calls) in (99, 100)

    @pytest.mark.parametrize(("make", "copies"), [(sac, 1), (sac, 3), (ppo, 1), (ppo, 3)])
    @pytest.mark.parametrize("steps", [1, 10, 50, 1050, 2001])
    def test_no_step_more(self, make, copies, steps):
        agent = make(vectorize(Target, copies), **({"warmup": 10**6} if make is sac else {"epochs": 1}))
        assert agent.learn(steps).steps == -(-steps // copies) * copies

    def test_a_float_that_is_a_whole_number_is_one(self):
        assert ppo(Target()).learn(1e2).steps == 100
        with pytest.raises(ValueError, match=r"expected total_steps as an integer >= 1, given 1\.5"):
            ppo(Target()).learn(1.5)

    def test_numpy_s_numbers_are_numbers(self):
        config = rl.PPOConfig(steps=np.int64(32), lr=np.float32(0.5), hidden=[np.int32(8)], mirror=np.bool_(False))
        assert config == rl.PPOConfig(steps=32, lr=0.5, hidden=(8,), mirror=False)
        assert type(config.steps) is int
        assert type(config.mirror) is bool
        assert len(rl.evaluate(ppo(Target(), steps=8), Target(), np.int64(2), np.int32(3))) == 2


class Extreme(Counter):
    """Gives something extreme at its fifth step."""

    def __init__(self, what, value):
        super().__init__(limit=50)
        self.what, self.value = what, value
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def step(self, action):
        observation, reward, *rest = super().step(action)
        if self.count == 5:
            reward = self.value if self.what == "reward" else reward
            observation = np.full(2, self.value) if self.what == "observation" else observation
        return observation.astype(np.float64), reward, *rest


@pytest.mark.parametrize("make", [sac, ppo])
@pytest.mark.parametrize("what", ["reward", "observation"])
@pytest.mark.parametrize("value", [1e300, -1e39, np.inf, np.nan])
def test_numbers_beyond_float32_stop_at_the_door(make, what, value, tmp_path):
    agent = make(vectorize(lambda: Extreme(what, value), 1))
    shown = f"({re.escape(repr(float(value)))}|-?inf)"  # float32 observations have no such number
    with pytest.raises(NonFiniteError, match=f"at step 4: the environment returned {what} {shown}"), np.errstate(all="ignore"):
        agent.learn(40)
    agent.save(tmp_path / "agent.safetensors")  # nothing was spoilt


class TestOwnership:
    """What is made here is closed here."""

    @pytest.fixture
    def counted(self, monkeypatch):
        made, closed = [], []

        class Counted(Target):
            def __init__(self):
                super().__init__()
                made.append(self)

            def close(self):
                closed.append(id(self))

        gymnasium.register("Counted-v0", Counted)
        yield made, closed
        del gymnasium.registry["Counted-v0"]

    def all_closed(self, counted):
        made, closed = counted
        assert made
        assert {id(env) for env in made} == set(closed)

    def test_by_evaluation_even_where_it_fails(self, counted):
        agent = ppo(Target())
        rl.evaluate(agent, "Counted-v0", 3)
        self.all_closed(counted)
        agent.act = lambda *_: 1 / 0
        with pytest.raises(ZeroDivisionError):
            rl.evaluate(agent, "Counted-v0", 2)
        self.all_closed(counted)

    def test_by_agents_that_go_get_another_or_never_were(self, counted, tmp_path):
        agent = ppo("Counted-v0", num_envs=2)
        agent.save(tmp_path / "agent.safetensors")
        agent.set_env(Target())
        self.all_closed(counted)
        agent = ppo("Counted-v0")
        del agent
        gc.collect()
        self.all_closed(counted)
        with pytest.raises(ValueError, match="hindsight"):
            sac("Counted-v0", hindsight="final")
        self.all_closed(counted)
        with pytest.raises(ValueError, match="does not fit the agent"):
            ppo(Counter()).set_env("Counted-v0")
        self.all_closed(counted)
        with ppo("Counted-v0") as agent:
            agent.learn(20)
        self.all_closed(counted)

    def test_by_whoever_gives_a_list(self, counted):
        rl.evaluate(ppo(Target()), ["Counted-v0"] * 2, 2)
        self.all_closed(counted)
        agent = ppo(["Counted-v0", functools.partial(gymnasium.make, "Counted-v0")])
        twin = copy.deepcopy(agent)
        assert twin.config.num_envs == twin.env.num_envs == 2
        agent.close()
        twin.close()
        self.all_closed(counted)

    @pytest.mark.parametrize("broken", [lambda: 1 / 0, lambda: 3, "Unknown-v0", Counter])
    def test_those_before_one_that_cannot_be_made(self, counted, broken):
        with pytest.raises((ZeroDivisionError, ValueError, RuntimeError, gymnasium.error.Error)):
            make_vector(["Counted-v0", "Counted-v0", broken])
        self.all_closed(counted)

    def test_goals_without_rewards(self, counted):
        made = gymnasium.registry["Counted-v0"].entry_point

        def without_reward():
            goals = {name: spaces.Box(-1, 1, (1,), np.float32) for name in KEYS}
            return gymnasium.wrappers.TransformObservation(made(), lambda x: dict.fromkeys(goals, x), spaces.Dict(goals))

        with pytest.raises(ValueError, match="compute_reward"):
            make_vector(without_reward, 2)
        self.all_closed(counted)

    def test_the_environment_that_the_agent_has_stays_open(self, counted):
        agent = ppo("Counted-v0").learn(20)
        agent.set_env(agent.env)
        assert not counted[1]
        assert agent.learn(40).steps == 40
        agent.close()
        self.all_closed(counted)

    def test_what_was_handed_in_is_left_open(self, counted):
        env = gymnasium.make("Counted-v0")
        agent = ppo(env)
        agent.close()
        rl.evaluate(agent, env, 2)
        rl.evaluate(agent, [env, "Counted-v0"], 2)
        assert not counted[1]

    def test_settings_follow_the_environment(self):
        agent = ppo("Pendulum-v1", num_envs=2)
        agent.set_env(vectorize(lambda: gymnasium.make("Pendulum-v1"), 3))
        assert agent.config.num_envs == 3


class TestSpacesThatDoNotFit:
    def test_evaluation_in_other_spaces(self):
        narrow = Target()
        narrow.action_space = spaces.Box(-0.1, 0.1, (1,), np.float32)
        wide = Target()
        wide.action_space = spaces.Box(-2, 2, (1,), np.float64)
        for other in (narrow, wide, Target(True), Counter()):
            with pytest.raises(ValueError, match="environment does not fit the agent: expected"):
                rl.evaluate(ppo(Target()), other)

    def test_a_checkpoint_names_its_environment(self, tmp_path):
        agent = ppo("deepnp/HalfCheetah-v5", num_envs=2).learn(40)
        agent.save(tmp_path / "cheetah.safetensors")
        with pytest.raises(ValueError, match='expected environment "deepnp/HalfCheetah-v5", given "deepnp/Walker2d-v5"'):
            rl.PPO.load(tmp_path / "cheetah.safetensors", "deepnp/Walker2d-v5")
        loaded = rl.PPO.load(tmp_path / "cheetah.safetensors")
        loaded.set_env("deepnp/Walker2d-v5")
        assert loaded.learn(80).steps == 80


def test_warnings_are_none():
    """A training's usual life raises no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ppo("Pendulum-v1", num_envs=2).learn(80)
