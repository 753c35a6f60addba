"""Pictures of bodies as observations: what they show, that they are copies, states, and refusals."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs  # noqa: F401  (registers deepnp/…)
from envs.bodies.camera import CameraObservation
from envs.bodies.walker import Walker
from envs.planar.sorter import Sorter
from tests.envs import same

IDS = ["Walker-v0", "Crawler-v0", "ArmReach-v0", "ArmPush-v0"]


def vector(name, copies=2, **settings):
    settings = {"camera": 16, "num_threads": 1, "autoreset_mode": AutoresetMode.SAME_STEP, **settings}
    return gymnasium.make_vec(f"deepnp/{name}", copies, "vector_entry_point", **settings)


@pytest.mark.parametrize("name", IDS)
def test_a_picture_beside_what_is_observed_without(name):
    env, plain = vector(name), vector(name, camera=0)
    (observations, _), (expected, _) = env.reset(seed=0), plain.reset(seed=0)
    assert env.observation_space.contains(observations)
    assert observations["camera"].shape == (2, 16, 16, 3)
    assert len(np.unique(observations["camera"])) > 10
    own = {k: v for k, v in observations.items() if k != "camera"}
    same.same(own if isinstance(expected, dict) else own["observation"], expected)
    env.close(), plain.close()


def test_the_picture_is_the_one_that_is_rendered_made_smaller():
    env = vector("ArmReach-v0", camera=96, render_mode="rgb_array")
    observations, _ = env.reset(seed=0)
    whole = env.render()[0].astype(float)[:, 80:560]  # the camera's view is as high, and square
    small = whole.reshape(96, 5, 96, 5, 3).mean((1, 3))
    assert np.abs(small - observations["camera"][0]).mean() < 5
    assert np.abs(small - small.mean((0, 1))).mean() > 15
    env.close()


def test_pictures_follow_the_body_and_belong_to_the_caller():
    env = vector("Walker-v0", 3)
    before = env.reset(seed=0)[0]["camera"]
    kept = before.copy()
    after = env.step(np.ones(env.action_space.shape))[0]["camera"]
    np.testing.assert_array_equal(before, kept)
    assert (after != before).any()
    after[:] = 0
    assert env.core.observe()["camera"].any()
    env.close()


@pytest.mark.parametrize("name", ["Walker-v0", "ArmPush-v0"])
def test_vector_equals_singles_and_states_continue(name):
    make = lambda: gymnasium.make(f"deepnp/{name}", camera=16, num_threads=1, max_episode_steps=5)  # noqa: E731
    batch = vector(name, 2, max_episode_steps=5)
    ends, limits = same.vector_equals_singles(batch, SyncVectorEnv([make] * 2, autoreset_mode=AutoresetMode.SAME_STEP), 12)
    assert ends + limits > 2
    other = vector(name, 2, max_episode_steps=5)
    other.set_state(batch.state())
    same.same(other.core.observe(), batch.core.observe())
    batch.close(), other.close()


def test_decisions_every_few_steps():
    env = vector("ArmReach-v0", decision_period=2)
    assert env.reset(seed=0)[0]["camera"].shape == (2, 16, 16, 3)
    assert env.step(env.action_space.sample())[0]["camera"].any()
    env.close()


def test_refusals():
    for wrong in (1, 15, 129, -1, 20.0, True, "48"):
        with pytest.raises(ValueError, match=r"expected .*camera.*, given"):
            vector("Walker-v0", camera=wrong)
    with pytest.raises(ValueError, match="a body to be filmed, given Sorter"):
        CameraObservation(Sorter(1), 32)
    with pytest.raises(TypeError, match="camera"):
        gymnasium.make("deepnp/Sorter-v0", camera=32)
    with pytest.raises(ValueError, match="vectors, or pictures"):
        vector("Walker-v0", stacked_inputs=2)
    assert CameraObservation(Walker(1), 32).observation_space["camera"].shape == (32, 32, 3)
