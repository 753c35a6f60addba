"""The Crawler: spaces and layout, vector equals singles, seeds, threads, ends, pictures, state, divergence."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs  # noqa: F401  (registers deepnp/…)
from envs.bodies.crawler import LEGS, LIMBS, Crawler
from tests.envs import same

ENV = "deepnp/Crawler-v0"


def vector(copies, mode=AutoresetMode.SAME_STEP, **settings):
    return gymnasium.make_vec(ENV, copies, "vector_entry_point", autoreset_mode=mode, **settings)


def crawler(copies=1, **settings):
    core = Crawler(copies, **settings)
    core.reset(np.arange(copies), [np.random.default_rng(i) for i in range(copies)])
    return core


def test_gymnasium_accepts_it():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*infinity.*")  # velocities are honestly unbounded
        check_env(gymnasium.make(ENV, render_mode="rgb_array").unwrapped)


def test_counts_and_joints_are_the_thesis():
    env = gymnasium.make(ENV)
    assert env.observation_space.shape == (94,)
    assert env.action_space.shape == (20,)
    assert env.spec.max_episode_steps == 500
    model = env.unwrapped.core.body.model
    names = [model.joint(j).name for j in model.actuator_trnid[:, 0]]
    assert names == [f"{leg}_thigh_{axis}" for leg in LEGS for axis in "xy"] + [f"{leg}_shin_x" for leg in LEGS]
    limits = np.degrees(model.jnt_range[model.actuator_trnid[:, 0]])
    np.testing.assert_allclose(limits, [[-25, 5], [-15, 15]] * 4 + [[0, 120]] * 4)
    for leg, x, y, yaw in zip(LEGS, (1, 1, -1, -1), (1, -1, 1, -1), (45, -45, 135, -135), strict=True):
        thigh = model.body(f"{leg}_thigh")
        np.testing.assert_allclose(thigh.pos, [0.5 * x, 0.5 * y, 0])
        half = np.radians(yaw) / 2
        np.testing.assert_allclose(thigh.quat, [np.cos(half), 0, 0, np.sin(half)], atol=1e-12)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vector_equals_singles_step_for_step(mode):
    singles = SyncVectorEnv([lambda: gymnasium.make(ENV, max_episode_steps=10)] * 3, autoreset_mode=mode)
    ends, limits = same.vector_equals_singles(vector(3, mode, max_episode_steps=10), singles, 450)
    assert ends > 10
    assert limits > 5


def test_same_seed_same_trajectory_at_any_thread_count():
    same.threads_do_not_matter(vector)


def test_state_continues_bit_for_bit():
    same.state_continues(vector)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e12])
def test_a_diverging_copy_ends_alone(poison):
    same.a_diverging_copy_ends_alone(vector, poison)


def test_a_copy_that_mujoco_refuses_ends_alone(monkeypatch):
    """An error raised by the engine, for a copy or two, is a divergence of these."""
    from mujoco.batch import SimulationError

    env = vector(3)
    env.reset(seed=0)
    step = env.core.body.batch.step

    def refuse(nstep):
        step(nstep=nstep)
        raise SimulationError(np.array([1]), "out of memory")

    monkeypatch.setattr(env.core.body.batch, "step", refuse)
    _, rewards, terminated, _, infos = env.step(np.zeros((3, 20)))
    np.testing.assert_array_equal(terminated, [False, True, False])
    np.testing.assert_array_equal(infos["final_info"]["diverged"], [False, True, False])
    assert rewards[1] == 0


def test_a_copy_that_is_no_number_ends_alone_and_shows_numbers(monkeypatch):
    """What MuJoCo would notice a step later is noticed now."""
    env = vector(3)
    env.reset(seed=0)
    step = env.core.body.batch.step

    def spoil(nstep):
        step(nstep=nstep)
        env.core.body.qpos[1] = np.nan
        env.core.body.batch.bind("xipos").flags.writeable = True
        env.core.body.batch.bind("xipos")[1] = np.nan

    monkeypatch.setattr(env.core.body.batch, "step", spoil)
    observations, rewards, terminated, _, infos = env.step(np.zeros((3, 20)))
    np.testing.assert_array_equal(terminated, [False, True, False])
    assert np.isfinite(infos["final_obs"]).all()
    assert np.isfinite(observations).all()
    assert np.isfinite(rewards).all()


def test_pictures_show_something():
    same.shows_something(gymnasium.make(ENV, render_mode="rgb_array"))


def test_zero_action_stands_on_four_feet():
    core = crawler(8)
    for _ in range(50):
        _, terminated = core.step(np.zeros((8, 20)))
        assert not terminated.any()
    assert core.grounded().all()
    assert np.abs(core.info()["distance"]).max() < 0.1


def test_torso_and_thighs_end_the_episode_shins_and_feet_do_not():
    core = crawler(1)
    names = {core.body.model.geom(g).name for g in core.upper}
    assert "torso" in names
    assert {f"{leg}_thigh" for leg in LEGS} <= names
    assert not {name for name in names if "shin" in name or "foot" in name}
    stretched = np.ones((1, 20))
    stretched[0, 8:12] = -1  # legs straight out: it comes down on its belly
    assert any(core.step(stretched)[1][0] for _ in range(50))


def test_reward_is_a_tenth_of_the_metres(rng):
    env = vector(4, AutoresetMode.DISABLED)
    env.reset(seed=0)
    before = np.zeros(4)
    for _ in range(3):
        _, rewards, _, _, infos = env.step(0.5 * rng.uniform(-1, 1, (4, 20)))
        np.testing.assert_allclose(rewards, 0.1 * (infos["distance"] - before), atol=1e-12)
        before = infos["distance"]


def test_observation_layout(rng):
    """Against MuJoCo's own object velocities, part by part of the documented layout."""
    import mujoco

    core = crawler(noise=0.3)
    action = rng.uniform(-1, 1, (1, 20))
    core.drive.set(action[:, :12], action[:, 12:])
    core.body.qvel[:] = rng.normal(size=core.body.qvel.shape)
    core.body.batch.forward()
    seen, model, data = core.observe()[0], core.body.model, core.body.batch.get_data(0)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(seen[:4], data.body("torso").xquat * np.sign(data.body("torso").xquat[0]), atol=1e-6)
    targets = {f"{leg}_thigh": [*action[0, 2 * i : 2 * i + 2], 0] for i, leg in enumerate(LEGS)}
    targets |= {f"{leg}_shin": [action[0, 8 + i], 0, 0] for i, leg in enumerate(LEGS)}
    at = 4
    for k, name in enumerate(["torso", *LIMBS]):
        velocity = np.zeros(6)
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, model.body(name).id, velocity, 0)
        np.testing.assert_allclose(seen[at : at + 6], [*velocity[3:], *velocity[:3]], atol=1e-5, err_msg=name)
        at += 6
        if k:
            np.testing.assert_allclose(seen[at : at + 4], [*targets[name], action[0, 11 + k]], atol=1e-6)
            at += 4
    np.testing.assert_array_equal(seen[at:], core.grounded()[0])
    assert len(seen[at:]) == 4
