"""A training in somebody else's environment is saved in the middle of an episode, and goes on in a fresh one with the same bits."""

import copy
import pickle
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.vector import AutoresetMode

import rl
from deepnp.storage import load_tensors, save_tensors
from rl.experience.capture_values import pack, unpack
from tests.rl.toys import Counter, Reach, Remembering, config_of, states, suited, vectorize

ALGORITHMS = list(rl.ALGORITHMS.values())
WALKERS = "HalfCheetah-v5", "Hopper-v5", "BipedalWalker-v3"
CONTINUOUS = "Pendulum-v1", "MountainCarContinuous-v0", *WALKERS, Remembering
CHOICES = "CartPole-v1", "Acrobot-v1", "FrozenLake-v1", "LunarLander-v3"
SMALL = dict(num_envs=2, hidden=(8,), batch_size=8)
ON_POLICY, OFF_POLICY = dict(steps=20, epochs=2), dict(warmup=10, memory=200, update_interval=4, rounds=2, round_steps=20)
STEPS, MIDDLE = 160, 75
PAIRS = [(algorithm, suited(algorithm, "LunarLanderContinuous-v3")) for algorithm in ALGORITHMS]
PAIRS += [(rl.ALGORITHMS[name], env) for name in ("PPO", "SAC") for env in CONTINUOUS]
PAIRS += [(rl.ALGORITHMS["PPO"], env) for env in CHOICES]


def make(algorithm, env, **settings):
    own = ON_POLICY if algorithm.takes.on_policy else OFF_POLICY
    return algorithm.cls(env, config_of(algorithm, **{**SMALL, **own, **settings}), seed=3)


class Until(rl.Callback):
    """Ends a training early: off-policy at any step, on-policy where a rollout ends."""

    def __init__(self, steps=MIDDLE):
        self.steps = steps

    def on_update(self, agent, metrics):
        return agent.steps < self.steps


class UntilStep(Until):
    def on_step(self, agent, step):
        return agent.steps < self.steps


def until_the_middle(algorithm):
    return UntilStep() if algorithm.takes.ends_anywhere else Until()


def assert_same(agent, other):
    assert agent.steps == other.steps
    mine, theirs = states(agent), states(other)
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    assert {name: rng.bit_generator.state for name, rng in agent.rngs.items()} == {
        name: rng.bit_generator.state for name, rng in other.rngs.items()
    }


@pytest.mark.parametrize(("algorithm", "env"), PAIRS, ids=lambda x: getattr(x, "name", x))
def test_goes_on_with_the_same_bits(algorithm, env, tmp_path):
    whole = make(algorithm, env).learn(STEPS)
    half = make(algorithm, env).learn(STEPS, until_the_middle(algorithm))
    assert MIDDLE <= half.steps < STEPS
    assert half.collector.lengths.any()  # in the middle of an episode
    half.save(tmp_path / "half.safetensors")
    resumed = rl.load(tmp_path / "half.safetensors", env)
    assert_same(resumed.learn(STEPS), whole)
    assert_same(half.learn(STEPS), whole)


@pytest.mark.parametrize("env", [Remembering, lambda: wrappers.TimeLimit(wrappers.NormalizeObservation(Remembering()), 40)])
def test_a_user_s_environment_that_tells_its_state(env, tmp_path):
    whole = make(rl.ALGORITHMS["SAC"], env).learn(STEPS)
    make(rl.ALGORITHMS["SAC"], env).learn(STEPS, UntilStep()).save(tmp_path / "half.safetensors")
    assert_same(rl.load(tmp_path / "half.safetensors", env).learn(STEPS), whole)
    assert_same(rl.load(tmp_path / "half.safetensors", [env(), env()]).learn(STEPS), whole)  # Envs, not a factory


class Goal(Reach):
    """An environment with goals that tells its state."""

    NAMES = "point", "goal", "count", "seed", "episode"

    def state(self):
        return {name: getattr(self, name) for name in self.NAMES}

    def set_state(self, state):
        for name in self.NAMES:
            setattr(self, name, state[name])


def test_with_goals_in_hindsight(tmp_path):
    whole = make(rl.ALGORITHMS["SAC"], Goal, hindsight="future").learn(STEPS)
    make(rl.ALGORITHMS["SAC"], Goal, hindsight="future").learn(STEPS, UntilStep()).save(tmp_path / "half.safetensors")
    assert_same(rl.load(tmp_path / "half.safetensors", Goal).learn(STEPS), whole)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize(("name", "env"), [("PPO", "CartPole-v1"), ("SAC", "Hopper-v5")])
def test_a_vector_environment_that_was_handed_in(mode, name, env, tmp_path):
    def vector():
        return vectorize(lambda: gymnasium.make(env), 2, mode)

    whole = make(rl.ALGORITHMS[name], vector()).learn(STEPS)
    make(rl.ALGORITHMS[name], vector()).learn(STEPS, until_the_middle(rl.ALGORITHMS[name])).save(tmp_path / "half.safetensors")
    assert_same(rl.load(tmp_path / "half.safetensors", vector()).learn(STEPS), whole)


CHILD = """
import sys, rl
agent = rl.load(sys.argv[1], "BipedalWalker-v3").learn(int(sys.argv[3]))
agent.save(sys.argv[2])
"""


def test_goes_on_in_another_process(tmp_path):
    algorithm, paths = rl.ALGORITHMS["SAC"], [str(tmp_path / f"{name}.safetensors") for name in ("half", "child")]
    whole = make(algorithm, "BipedalWalker-v3").learn(STEPS)
    make(algorithm, "BipedalWalker-v3").learn(STEPS, UntilStep()).save(paths[0])
    subprocess.run([sys.executable, "-c", CHILD, *paths, str(STEPS)], check=True)
    assert_same(rl.load(paths[1]), whole)


@pytest.mark.parametrize("name", ["CartPole-v1", "Hopper-v5", "LunarLander-v3"])
def test_two_calls_are_as_good_as_one(name):
    """In an environment that was handed in, too; unless somebody stepped it."""
    whole, env = make(rl.ALGORITHMS["PPO"], gymnasium.make(name), num_envs=1, anneal_lr=False).learn(80), gymnasium.make(name)
    agent = make(rl.ALGORITHMS["PPO"], env, num_envs=1, anneal_lr=False).learn(40)
    length = int(agent.collector.lengths[0])
    assert agent.is_undisturbed()
    assert_same(copy.deepcopy(whole), whole)
    agent.learn(60)
    assert_same(agent.learn(80), whole)
    assert length or agent.collector.lengths.any()
    env.step(env.action_space.sample())
    assert not agent.is_undisturbed()
    assert agent.learn(81).collector.lengths.tolist() == [1]


@pytest.mark.parametrize("env", ["LunarLanderContinuous-v3", "Hopper-v5"])
@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_copies_and_pickles(algorithm, env):
    """A copy has an environment of its own, in the same situation; a pickle has none, and is given one."""
    env = suited(algorithm, env)
    whole = make(algorithm, env).learn(STEPS)
    half = make(algorithm, env).learn(STEPS, until_the_middle(algorithm))
    assert_same(copy.deepcopy(half).learn(STEPS), whole)
    pickled = pickle.loads(pickle.dumps(half))
    assert_same(pickled, half)
    pickled.set_env(env)
    assert pickled.learn(STEPS).steps == STEPS


def test_a_state_that_no_file_can_hold_is_refused_at_once():
    class Odd(Remembering):
        def state(self):
            return {"self": self}

    with pytest.raises(ValueError, match=r"the state of Odd cannot be saved: expected numbers, strings, arrays, .* given Odd"):
        make(rl.ALGORITHMS["PPO"], Odd).learn(40, lambda agent, metrics: pytest.fail("it learned"))


class TestNewEpisodes:
    """Where a training cannot go on in its episodes, it says so once, with the reason."""

    def saved(self, env, path, **settings):
        make(rl.ALGORITHMS["PPO"], env, **settings).learn(40).save(path)
        return path

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "agent.safetensors"

    def test_in_an_environment_that_nobody_knows(self, path):
        self.saved(Counter, path)
        reason = r"Counter begins new episodes, .*: it offers no state\(\) and set_state\(state\)"
        with pytest.warns(UserWarning, match=reason) as caught:
            agent = rl.load(path, Counter)
        assert len(caught) == 1
        agent.learn(60)
        agent.save(path)

    def test_with_another_number_of_copies(self, path):
        self.saved("CartPole-v1", path)
        with pytest.warns(UserWarning, match="the file holds 2 copies, and there are 3"):
            rl.load(path, ["CartPole-v1"] * 3).learn(60)

    def test_where_somebody_stepped_it_before_it_was_saved(self, path):
        agent = make(rl.ALGORITHMS["PPO"], "CartPole-v1").learn(40)
        agent.env.reset()
        agent.save(path)
        with pytest.warns(UserWarning, match="the file does not hold its state"):
            rl.load(path, "CartPole-v1").learn(60)

    def test_where_a_replay_comes_out_differently(self, path):
        self.saved("LunarLander-v3", path)
        tensors, metadata = load_tensors(path)
        layers = unpack({part: tensors[f"env.0.{part}"] for part in ("form", "arrays")})
        layers[-2] = layers[-2] + 1e-6
        save_tensors(path, {**tensors, **{f"env.0.{part}": array for part, array in pack(layers).items()}}, metadata)
        with pytest.warns(UserWarning, match="LunarLander's episode came out differently when it was replayed"):
            agent = rl.load(path, "LunarLander-v3")
        assert agent.learn(60).collector.lengths.max() <= 10

    def test_not_where_nothing_was_learned_or_nothing_is_lost(self, path):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            make(rl.ALGORITHMS["PPO"], Counter).save(path)
            rl.load(path, Counter)
            rl.load(self.saved("CartPole-v1", path), "CartPole-v1").learn(60)
            rl.load(self.saved(Counter, path))  # to predict
            copy.deepcopy(make(rl.ALGORITHMS["PPO"], Counter).learn(40))
