"""What careless users do, each with an answer in words: wrong results of environments, wrong arguments, wrong moments."""

import re
from dataclasses import fields
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import envs  # noqa: F401  (registers deepnp/…)
import rl
from rl.cli import main
from rl.experience import memory_limit
from rl.experience.environments import make_vector
from rl.schedules import Rate
from tests.rl.toys import Target

BOX = spaces.Box(-9, 9, (2,), np.float32)
NESTED = spaces.Dict(place=spaces.Box(-9, 9, (2,), np.float32), kind=spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(2))))


class Odd(gymnasium.Env):
    """Returns from `reset` and from `step` what it is told to."""

    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, space=BOX, first=None, later=None):
        self.observation_space = space
        self.first, self.later = first, later

    def reset(self, *, seed=None, options=None):
        return (self.observation_space.sample(), {}) if self.first is None else self.first

    def step(self, action):
        return (self.observation_space.sample(), 1.0, False, True, {}) if self.later is None else self.later


def ppo(env, **settings):
    return rl.PPO(env, rl.PPOConfig(**{"steps": 8, "epochs": 1, "hidden": (8,), **settings}))


def sac(env, **settings):
    return rl.SAC(env, rl.SACConfig(**{"warmup": 4, "batch_size": 4, "memory": 50, "hidden": (8,), **settings}))


def result(observation=(0.0, 0.0), reward=1.0, terminated=False, truncated=False, info=None):
    return np.array(observation, np.float32), reward, terminated, truncated, {} if info is None else info


class TestResults:
    """Whatever an environment returns is right, or named with what was expected."""

    @pytest.mark.parametrize("make", [ppo, sac])
    @pytest.mark.parametrize(
        "observation", [[1, 2], (1.0, 2.0), np.array([1, 2]), np.array([1, 2], np.float16), np.array([1e6, -1e6]), [True, False]]
    )
    def test_observations_that_can_be_read(self, make, observation):
        agent = make(Odd(first=(observation, {}), later=(observation, 1, False, True, {}))).learn(12)
        assert agent.steps == 12

    @pytest.mark.parametrize("reward", [1, 1.0, True, np.float64(1), np.array(1), np.int8(1), np.bool_(1)])
    def test_rewards_that_are_numbers(self, reward):
        rows = []
        ppo(Odd(later=result(reward=reward, truncated=np.bool_(True)))).learn(8, lambda agent, metrics: rows.append(metrics))
        assert rows[0]["episode_return"] == 1

    @pytest.mark.parametrize("make", [ppo, sac])
    @pytest.mark.parametrize(
        ("observation", "message"),
        [
            (np.zeros(1, np.float32), r"an observation of shape (2,), given an array of float32 and shape (1,)"),
            (np.zeros((2, 1), np.float32), r"an observation of shape (2,), given an array of float32 and shape (2, 1)"),
            (0.5, r"an observation of shape (2,), given 0.5"),
            (None, r"an observation of shape (2,), given None"),
            ([[1], [2, 3]], r"an observation of shape (2,), given a list of 2"),
            (["a", "b"], r"an observation of float32, given a list of 2"),
            (np.zeros(2, complex), r"an observation of float32, given an array of complex128 and shape (2,)"),
            ({"x": 1}, r"an observation of shape (2,), given a dict with ['x']"),
        ],
    )
    def test_observations(self, make, observation, message):
        for odd in (Odd(first=(observation, {})), Odd(later=(observation, 1.0, False, True, {}))):
            with pytest.raises(ValueError, match=re.escape(f"expected of Odd {message}")):
                make(odd).learn(12)

    @pytest.mark.parametrize(
        ("observation", "message"),
        [
            ({"place": np.zeros(2)}, "an observation with ['place', 'kind'], given a dict with ['place']"),
            ({"place": np.zeros(2), "kind": (0,)}, "an observation of 2 parts, given a tuple of 1"),
            ({"place": np.zeros(2), "kind": (0, [1, 0, 1])}, "an observation of shape (2,), given a list of 3"),
            (np.zeros(2), "an observation with ['place', 'kind'], given an array of float64"),
        ],
    )
    def test_observations_in_parts(self, observation, message):
        assert ppo(Odd(NESTED)).learn(8).steps == 8
        with pytest.raises(ValueError, match=re.escape(f"expected of Odd {message}")):
            ppo(Odd(NESTED, first=(observation, {}))).learn(8)

    @pytest.mark.parametrize(
        ("later", "message"),
        [
            (result(reward=None), "a reward that is one number, given None"),
            (result(reward="1"), "a reward that is one number, given '1'"),
            (result(reward=np.ones(1)), "a reward that is one number, given an array of float64 and shape (1,)"),
            (result(reward=[1.0]), "a reward that is one number, given a list of 1"),
            (result(reward=1j), "a reward that is one number, given 1j"),
            (result(terminated=None), "terminated as a bool, given None"),
            (result(truncated="no"), "truncated as a bool, given 'no'"),
            (result(info="x"), "a dict of infos, given 'x'"),
            (result()[:4], "step to return (observation, reward, terminated, truncated, info), given a tuple of 4"),
            (1, "step to return (observation, reward, terminated, truncated, info), given 1"),
        ],
    )
    def test_the_rest_of_a_step(self, later, message):
        with pytest.raises(ValueError, match=re.escape(f"expected of Odd {message}")):
            ppo(Odd(later=later)).learn(8)

    @pytest.mark.parametrize("first", [np.zeros(2, np.float32), (np.zeros(2, np.float32), {}, {})])
    def test_what_reset_returns(self, first):
        with pytest.raises(ValueError, match=r"expected of Odd reset to return \(observation, info\), given"):
            ppo(Odd(first=first)).learn(8)

    def test_infos_in_a_list(self):
        vector = gymnasium.wrappers.vector.DictInfoToList(make_vector([Target, Target]))
        with pytest.raises(TypeError, match="expected infos as a dict of arrays, as a VectorEnv gives them, given list"):
            ppo(vector).learn(8)

    @pytest.mark.parametrize("which", ["observation", "action"])
    def test_spaces_of_no_value(self, which):
        odd, empty = Odd(), spaces.Box(-1, 1, (0,), np.float32)
        setattr(odd, f"{which}_space", empty)
        with pytest.raises(ValueError, match=f"expected {which}s of at least one value, given Box"):
            ppo(odd)


def test_one_environment_in_two_places():
    """Two copies that step the same one would each see every other step."""
    env = Target()
    for twice in ([env, env], [env, gymnasium.wrappers.TimeLimit(env, 5)], lambda: env):
        with pytest.raises(ValueError, match="expected an Env of its own for each of 2 copies, given one twice"):
            make_vector(twice, 2)


@pytest.mark.parametrize("copies", [0, 1.5])
def test_copies_are_counted_from_one(copies):
    with pytest.raises(ValueError, match=f"expected num_envs >= 1, given {copies}"):
        make_vector(Target, copies)


class TestPredict:
    @pytest.fixture(params=[ppo, sac])
    def agent(self, request):
        return request.param(Odd())

    def test_tuples_are_arrays(self, agent):
        np.testing.assert_array_equal(agent.predict((1.0, 2.0)), agent.predict(np.array([1.0, 2.0])))
        np.testing.assert_array_equal(agent.predict(((1.0, 2.0), (3.0, 4.0)))[0], agent.predict([1.0, 2.0]))

    def test_no_rows(self, agent):
        assert agent.predict(np.zeros((0, 2))).shape == (0, 1)

    @pytest.mark.parametrize(
        ("observation", "message"),
        [
            ((np.zeros(2), {}), r"expected an observation of shape \(2,\), given tuple"),
            ([[1, 2], [3]], r"expected an observation of shape \(2,\), given list"),
            (np.full(2, 1e300), r"expected an observation within float32, given 1e\+300"),
        ],
    )
    def test_what_is_refused(self, agent, observation, message):
        with pytest.raises(ValueError, match=message):
            agent.predict(observation)

    def test_parts_of_unequal_length(self):
        agent = ppo(Odd(NESTED))
        rows = {"place": np.zeros((2, 2)), "kind": (np.zeros(2, int), np.zeros((2, 2), int))}
        assert agent.predict(rows).shape == (2, 1)
        with pytest.raises(ValueError, match=r"expected as many rows in each part, given \[2, 3, 2\]"):
            agent.predict(rows | {"kind": (np.zeros(3, int), np.zeros((2, 2), int))})

    def test_arguments_in_another_order(self, agent):
        with pytest.raises(TypeError, match="expected deterministic as a bool, given None"):
            agent.predict(np.zeros(2), None)
        with pytest.raises(TypeError, match=r"expected rng as a numpy.random.Generator or None, given 3"):
            agent.predict(np.zeros(2), False, 3)


class TestMoments:
    @pytest.mark.parametrize("make", [ppo, sac])
    def test_closed_by_a_callback(self, make):
        with pytest.raises(RuntimeError, match="environment was closed while it learned"):
            make("Pendulum-v1").learn(3000, lambda agent, metrics: agent.close())

    def test_callbacks_are_functions(self):
        agent = ppo("Pendulum-v1")
        with pytest.raises(TypeError, match=r"expected callback as a Callback, a function .*, given 3"):
            agent.learn(8, 3)
        assert agent.steps == 0

    @pytest.mark.parametrize("given", ["Pendulum-v1", rl.PPO, None])
    def test_evaluate_takes_an_agent_first(self, given):
        with pytest.raises(TypeError, match="expected an agent, and then its environment, given"):
            rl.evaluate(given, "Pendulum-v1")

    def test_load_belongs_to_an_algorithm(self, tmp_path):
        ppo("Pendulum-v1").save(tmp_path / "x")
        with pytest.raises(TypeError, match=r"expected an algorithm's load, given Agent's: rl\.load finds a file's own"):
            rl.Agent.load(tmp_path / "x")


@pytest.mark.parametrize("make", [ppo, sac])
def test_networks_that_the_machine_cannot_hold(make, monkeypatch):
    """Said before anything is drawn: a machine that lends more than it has would end the process, or itself."""
    monkeypatch.setattr(memory_limit, "free_memory", lambda: 2**27)
    assert make(Odd(), hidden=(300, 300)).steps == 0
    with pytest.raises(MemoryError, match=r"a network of widths \(\d, 1000000000, \d\) needs .* GiB, but only 0.12 GiB are free"):
        make(Odd(), hidden=(10**9,))


@pytest.mark.parametrize("name", ["REINFORCE", "A2C", "OffPolicyPG", "TRPO", "PPO", "RWR", "REPS"])
def test_a_rollout_of_one_step_is_learned_from(name):
    """Less its own mean it would be 0: one row alone is not standardised."""
    algorithm = rl.ALGORITHMS[name]
    agent = algorithm.cls(Target, algorithm.config(num_envs=1, steps=1, hidden=(4,)), seed=0)
    before = agent.policy.flat.data.copy()
    agent.learn(20)
    assert (agent.policy.flat.data != before).any()


class TestSettings:
    """Numbers that no training could use, and settings that would do nothing."""

    @pytest.mark.parametrize("number", [np.inf, np.float32("inf"), -np.inf, np.nan, 10**400])
    def test_numbers_are_finite(self, number):
        """Every float of every Config, whatever its bounds."""
        for algorithm in rl.ALGORITHMS.values():
            known = [f for f in fields(algorithm.config) if f.type in (float, float | None, Rate, Rate | None)]
            assert known
            for f in known:
                with pytest.raises(ValueError, match=rf"expected {algorithm.name}Config.{f.name} as a (finite )?number "):
                    algorithm.config(**{f.name: number})

    @pytest.mark.parametrize("name", ["PPO", "A2C", "REINFORCE", "TRPO", "RWR", "REPS"])
    def test_nothing_is_read_again_without_memory(self, name):
        with pytest.raises(ValueError, match=r"expected burn_in=0 without memory.*given 3"):
            getattr(rl, f"{name}Config")(burn_in=3)

    @pytest.mark.parametrize("name", ["PPO", "TRPO", "REINFORCE", "RWR", "OffPolicyPG"])
    def test_minibatches_larger_than_a_rollout(self, name):
        def trained(**settings):
            config = getattr(rl, f"{name}Config")(**{"steps": 16, "hidden": (4,), **settings})
            return getattr(rl, name)(make_vector("Pendulum-v1", 2), config).learn(64)

        given = r"expected minibatches that a rollout fills, given batch_size=33 and 32 rows in a rollout"
        with pytest.warns(UserWarning, match=given) as warned:
            trained(batch_size=33)
        assert len(warned) == 1
        assert warned[0].filename == __file__
        trained(batch_size=32)
        trained()  # nobody chose the default of 64

    def test_mirror_images_fill_minibatches_too(self):
        settings = dict(steps=8, num_envs=2, hidden=(4,), mirror=True, epochs=1)
        rl.PPO("deepnp/Walker-v0", rl.PPOConfig(batch_size=32, **settings)).learn(16)
        with pytest.warns(UserWarning, match="33 and 32 rows"):
            rl.PPO("deepnp/Walker-v0", rl.PPOConfig(batch_size=33, **settings)).learn(16)


class Shapeless(gymnasium.Env):
    action_space = spaces.Box(-1, 1, (1,), np.float32)


class Seedless(Odd):
    def reset(self, options=None):
        raise AssertionError


class TestEnvironments:
    """What an environment lacks is said before anything of it is used."""

    @pytest.mark.parametrize("make", [ppo, sac])
    def test_spaces(self, make):
        with pytest.raises(ValueError, match=r"expected of Shapeless an observation_space that is a gymnasium.Space, given None"):
            make(Shapeless)
        with pytest.raises(ValueError, match=r"expected of Odd an observation_space that is a gymnasium.Space, given 3"):
            make(Odd(space=3))

    @pytest.mark.parametrize("make", [ppo, sac])
    def test_reset(self, make):
        given = r"expected of Seedless reset\(self, \*, seed=None, options=None\), given reset\(options=None\)"
        with pytest.raises(ValueError, match=given):
            make(Seedless())
        with pytest.raises(ValueError, match=given):
            make([Seedless, Seedless])


class TestFolders:
    """What cannot be trained leaves no folder."""

    def test_a_memory_that_does_not_fit(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for log in ("csv", "mine"):
            with pytest.raises(MemoryError, match="a replay memory of 1,000,000,000,000 needs"):
                sac(Odd(), memory=10**12).learn(10, log=log)
        assert main(["train", "sac", "Pendulum-v1", "--memory", "1e12", "--quiet"]) == 1
        assert not list(tmp_path.iterdir())

    def test_a_file_in_their_place(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        Path("file").touch()
        for out in ("file", "file/run"):
            with pytest.raises(FileExistsError, match=f"expected a folder for a run, given {out}: file is a file"):
                ppo(Odd()).learn(8, log=out)
            assert main(["train", "ppo", "Pendulum-v1", "--out", out, "--quiet"]) == 1
            assert capsys.readouterr().err == f"error: expected a folder for a run, given {out}: file is a file\n"
        Path("runs").touch()
        assert main(["train", "ppo", "Pendulum-v1", "--quiet"]) == 1
        assert "runs: runs is a file" in capsys.readouterr().err
