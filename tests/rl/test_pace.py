"""Decision periods and stacked inputs for any id: what a step returns, limits, native vectors, resuming, refusals."""

import runpy
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FrameStackObservation, RepeatAction
from PIL import Image

import envs  # noqa: F401  (registers deepnp/…)
import rl
from envs.vector import CoreVectorEnv
from rl.cli import main
from rl.experience.environments import make_vector
from rl.experience.pace import Pace
from rl.training.evaluation import play
from rl.training.seeds import portable
from tests.envs.same import same_infos

PACE = {"decision_period": 3, "stacked_inputs": 2}


def paced(id, **settings):
    return FrameStackObservation(RepeatAction(gymnasium.make(id, **settings), 3), 2, padding_type="zero")


def same_steps(a, b, steps):
    """How many episodes ended, of two vector environments that return the same."""
    ends, rng = 0, np.random.default_rng(0)
    np.testing.assert_array_equal(a.reset(seed=4)[0], b.reset(seed=4)[0])
    for _ in range(steps):
        action = draw(a, rng)
        (*results, infos), (*others, other_infos) = a.step(action), b.step(action)
        for x, y in zip(results, others, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12)
        same_infos({k: v for k, v in infos.items() if "final" in k}, {k: v for k, v in other_infos.items() if "final" in k})
        ends += int((results[2] | results[3]).sum())
    return ends


def draw(env, rng):
    if isinstance(env.single_action_space, gymnasium.spaces.Discrete):
        return rng.integers(env.single_action_space.n, size=env.num_envs)
    return rng.uniform(env.action_space.low, env.action_space.high).astype(np.float32)


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_an_id_of_gymnasium(id):
    env = make_vector(id, 3, PACE)
    assert env.single_observation_space.shape == (2, *gymnasium.make(id).observation_space.shape)
    expected = SyncVectorEnv([lambda: paced(id)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert same_steps(env, expected, 150) > 3


@pytest.mark.parametrize("id", ["deepnp/Sorter-v0", "deepnp/Walker-v0", "deepnp/CartPoleBalance-v0"])
def test_an_id_of_ours_stays_one_of_many_copies_at_once(id):
    settings = {"max_episode_steps": 60, **({"num_threads": 1} if "Walker" in id else {})}
    env = make_vector(id, 3, {**PACE, **settings})
    assert isinstance(env, CoreVectorEnv)
    expected = SyncVectorEnv([lambda: paced(id, **settings)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert same_steps(env, expected, 50) > 1


def test_the_limit_of_an_episode_is_in_the_environments_own_steps():
    for id, decisions in (("Pendulum-v1", 67), ("deepnp/Navigation-v0", 334)):
        env, steps = make_vector(id, 1, {"decision_period": 3}), 0
        env.reset(seed=0)
        while not env.step(env.action_space.sample())[3][0]:
            steps += 1
        assert steps + 1 == decisions
    wrapped = make_vector("deepnp/Sorter-v0", 1, {"decision_period": 2, "max_episode_steps": 7})
    assert wrapped.max_episode_steps == 4


def test_one_of_the_two_alone():
    assert make_vector("CartPole-v1", 1, {"stacked_inputs": 4}).single_observation_space.shape == (4, 4)
    env = make_vector("CartPole-v1", 1, {"decision_period": 4})
    env.reset(seed=0)
    assert env.step(np.array([1]))[1][0] == 4.0
    assert type(make_vector("CartPole-v1", 1, {"decision_period": 1, "stacked_inputs": 1}).envs[0]).__name__ == "Checked"


def test_a_spec_carries_them():
    """As processes of several seeds and evaluations get it."""
    spec = gymnasium.envs.registration.EnvSpec.from_json(portable("CartPole-v1", PACE))
    assert make_vector(spec, 2).single_observation_space.shape == (2, 4)
    assert make_vector(spec, 2, {"stacked_inputs": 5}).single_observation_space.shape == (5, 4)
    assert spec.kwargs == PACE  # as it was


def test_a_mirrored_body_is_mirrored_frame_by_frame():
    env, plain = make_vector("deepnp/Walker-v0", 1, PACE), make_vector("deepnp/Walker-v0", 1)
    mirror, one = env.mirror(), plain.mirror()
    x = np.random.default_rng(0).normal(size=(2, 120))
    reflected = (mirror["observation_sign"] * x.ravel()[mirror["observation_index"]]).reshape(2, 120)
    for frame, expected in zip(reflected, x, strict=True):
        np.testing.assert_array_equal(frame, one["observation_sign"] * expected[one["observation_index"]])
    rl.PPO("deepnp/Walker-v0", rl.PPOConfig(mirror=True, steps=8, batch_size=8, hidden=(4,)), env_settings=PACE).learn(8)


def test_goals_are_reached_at_the_agents_pace():
    env = make_vector("deepnp/ArmReach-v0", 2, {"decision_period": 2})
    np.testing.assert_array_equal(env.rewards(np.zeros((1, 3)), np.ones((1, 3))), [-1])


@pytest.mark.parametrize("id", ["Pendulum-v1", "LunarLanderContinuous-v3", "deepnp/Driver-v0"])
def test_resume_equals_uninterrupted(id, tmp_path):
    def make():
        config = rl.SACConfig(num_envs=2, warmup=20, hidden=(8,), batch_size=16)
        return rl.SAC(id, config, seed=3, env_settings=PACE)

    whole, half = make().learn(160), make().learn(90)
    assert half.collector.lengths.any()
    half.save(tmp_path / "agent.safetensors")
    resumed = rl.SAC.load(tmp_path / "agent.safetensors", id, env_settings=PACE).learn(160)
    np.testing.assert_array_equal(whole.policy.flat.data, resumed.policy.flat.data)
    assert play(whole, id, 2, env_settings=PACE)["length"].shape == (2,)


@pytest.mark.parametrize("name", ["decision_period", "stacked_inputs"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2", None, np.nan])
def test_wrong_numbers_are_refused(name, value):
    with pytest.raises(ValueError, match=f"expected an integer {name} >= 1, given {value!r}"):
        make_vector("CartPole-v1", 2, {name: value})


def test_what_cannot_be_stacked_is_refused():
    for id, settings in (("deepnp/ArmReach-v0", {}), ("deepnp/Driver-v0", {"pixels": 16})):
        with pytest.raises(ValueError, match="vectors, or pictures without a channel axis, to stack, given"):
            make_vector(id, 2, {"stacked_inputs": 2, **settings})
    images = gymnasium.wrappers.ReshapeObservation(gymnasium.make("CartPole-v1"), (4, 1, 1))
    with pytest.raises(ValueError, match="vectors, or pictures without a channel axis, to stack, given"):
        Pace(stacked_inputs=2).around(images)
    with pytest.raises(ValueError, match="settings only for an environment's id"):
        make_vector(gymnasium.make("CartPole-v1"), 1, {"decision_period": 2})


def test_its_film_and_its_exported_policy_keep_the_pace(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pace = ["--env-settings", "decision_period=4", "stacked_inputs=2"]
    assert main(["train", "ppo", "Pendulum-v1", "--steps", "128", "--rollout-steps", "64", "--out", "run", *pace]) == 0
    assert main(["play", "run", "--to", "gif", "--seconds", "2", "--out", "film.gif"]) == 0
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames * film.info["duration"] == pytest.approx(2000, rel=0.1)
    assert main(["export", "run", "--out", "policy.py"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["policy.py"])
    runpy.run_path("policy.py", run_name="__main__")
    assert "after 50 steps" in capsys.readouterr().out
