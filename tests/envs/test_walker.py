"""The Walker: spaces and layout, vector equals singles, seeds, threads, drive, ends, pictures, state."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs  # noqa: F401  (registers deepnp/…)
from envs.bodies.walker import LIMBS, Walker
from tests.envs import same

ENV = "deepnp/Walker-v0"
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


def vector(copies, mode=AutoresetMode.SAME_STEP, **settings):
    return gymnasium.make_vec(ENV, copies, "vector_entry_point", autoreset_mode=mode, **settings)


def test_gymnasium_accepts_it():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*infinity.*")  # velocities are honestly unbounded
        check_env(gymnasium.make(ENV, render_mode="rgb_array").unwrapped)


def test_counts_are_the_thesis():
    env = gymnasium.make(ENV)
    assert env.observation_space.shape == (120,)
    assert env.action_space.shape == (36,)
    assert len(LIMBS) == 12
    assert env.spec.max_episode_steps == 500


@pytest.mark.parametrize("mode", MODES)
def test_vector_equals_singles_step_for_step(mode):
    """900 steps of 3 copies, with falls and (through a short limit) truncations."""
    batch = vector(3, mode, max_episode_steps=28)
    singles = SyncVectorEnv([lambda: gymnasium.make(ENV, max_episode_steps=28)] * 3, autoreset_mode=mode)
    falls, limits = same.vector_equals_singles(batch, singles, 900)
    assert falls > 3
    assert limits > 3


def test_same_seed_same_trajectory_at_any_thread_count():
    def trajectory(threads, seed):
        env = vector(5, num_threads=threads)
        rng, rows = np.random.default_rng(0), [env.reset(seed=seed)[0]]
        for _ in range(60):
            rows.append(env.step(rng.uniform(-1, 1, (5, 36)))[0])
        return np.array(rows)

    one = trajectory(1, 3)
    np.testing.assert_array_equal(one, trajectory(2, 3))
    assert (one != trajectory(1, 4)).any()


def test_zero_action_stands_and_a_dive_ends_the_episode():
    env = vector(8, noise=0.0, stride=0.0, push=0.0)
    env.reset(seed=0)
    for _ in range(20):
        _, _, terminated, _, infos = env.step(np.zeros((8, 36)))
        assert not terminated.any()
    assert np.abs(infos["distance"]).max() < 0.3
    dive = np.zeros((8, 36))
    dive[:, [14 + 1, 19 + 1]] = 1  # both hips bend
    dive[:, 24:] = 1
    for _ in range(60):
        _, _, terminated, _, _ = env.step(dive)
        if terminated.any():
            return
    pytest.fail("folding forward at the hips never ended the episode")


def test_reward_is_a_tenth_of_the_metres(rng):
    env = vector(4, AutoresetMode.DISABLED)
    env.reset(seed=0)
    before = np.zeros(4)
    for _ in range(10):
        _, rewards, _, _, infos = env.step(rng.uniform(-1, 1, (4, 36)))
        np.testing.assert_allclose(rewards, 0.1 * (infos["distance"] - before), atol=1e-12)
        before = infos["distance"]


def test_observation_layout(rng):
    """Against MuJoCo's own object velocities, frame by frame of the documented layout."""
    import mujoco

    core = Walker(1, noise=0.3)
    core.reset(np.zeros(1, int), [rng])
    action = rng.uniform(-1, 1, (1, 36))
    core.drive.set(action[:, :24], action[:, 24:])
    core.body.qvel[:] = rng.normal(size=core.body.qvel.shape)
    core.body.batch.forward()
    seen = core.observe()[0]
    model, data = core.body.model, core.body.batch.get_data(0)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(seen[:4], data.body("chest").xquat * np.sign(data.body("chest").xquat[0]), atol=1e-6)
    at, targets = 4, dict(zip(LIMBS, np.split(action[0, :24], np.cumsum([3, 3, 3, 1, 3, 1, 3, 1, 1, 3, 1])), strict=True))
    strengths = dict(zip(LIMBS, action[0, 24:], strict=True))
    order = ["head", "chest", "hips", "left_arm", "right_arm", "left_forearm", "right_forearm"]
    order += ["left_leg", "right_leg", "left_shin", "right_shin", "left_foot", "right_foot"]
    for name in order:
        velocity = np.zeros(6)
        kind = mujoco.mjtObj.mjOBJ_BODY  # of the body's centre of mass, in axes of its inertia frame unless flg_local = 0
        mujoco.mj_objectVelocity(model, data, kind, model.body(name).id, velocity, 0)
        np.testing.assert_allclose(seen[at : at + 3], velocity[3:], atol=1e-5, err_msg=name)
        np.testing.assert_allclose(seen[at + 3 : at + 6], velocity[:3], atol=1e-5, err_msg=name)
        at += 6
        if name in LIMBS:
            n = len(targets[name])
            np.testing.assert_allclose(seen[at : at + n], targets[name], atol=1e-6)
            assert seen[at + n] == pytest.approx(strengths[name], abs=1e-6)
            at += n + 1
        at += name.endswith("foot")
    assert at == 120


def test_lowest_points_are_where_contacts_begin(rng):
    """A geom's height is negative exactly where MuJoCo finds it in contact with the floor."""
    import mujoco

    core = Walker(64, noise=0.5)
    core.reset(np.arange(64), [rng] * 64)
    core.body.qpos[:, 2] = rng.uniform(0.1, 1.2, 64)
    core.body.qpos[:, 3:7] = rng.normal(size=(64, 4))
    core.body.qpos[:, 3:7] /= np.linalg.norm(core.body.qpos[:, 3:7], axis=1, keepdims=True)
    core.body.batch.forward()
    model = core.body.model
    geoms = np.arange(1, model.ngeom)
    heights, touching, apart = core.body.heights(geoms), 0, 0
    for i in range(64):
        data = core.body.batch.get_data(i)
        mujoco.mj_forward(model, data)
        in_contact = {int(g) for pair in data.contact.geom for g in pair}
        for g, h in zip(geoms, heights[i], strict=True):
            if abs(h) > 1e-9:
                assert (h < 0) == (int(g) in in_contact), (model.geom(g).name, h)
        touching, apart = touching + (heights[i] < 0).sum(), apart + (heights[i] > 0).sum()
    assert touching > 50
    assert apart > 50


def test_episodes_begin_within_a_step_of_either_leg():
    core = Walker(64)
    core.reset(np.arange(64), [np.random.default_rng(i) for i in range(64)])
    feet = core.body.heights(core.feet)
    np.testing.assert_allclose(feet.min(axis=1), 0, atol=1e-12)  # one foot stands
    left_stands = feet[:, 0] < feet[:, 1]
    assert 20 < left_stands.sum() < 44
    assert (core.body.heights(core.upper) > 0.3).all()
    assert (core.body.qvel[:, 0] >= 0).all()
    assert ((core.body.qvel[:, 0] >= 0.6) & (core.body.qvel[:, 0] <= 1.2)).all()


def test_mirrored_state_and_action_give_the_mirrored_outcome(rng):
    """Physics knows no left and right: so the body is symmetric, and `mirror` reflects it rightly."""
    core = Walker(2, noise=0.0, stride=0.0, push=0.0)
    core.reset(np.arange(2), [rng] * 2)
    m = core.mirror()
    for name in ("observation", "action"):
        np.testing.assert_array_equal(m[f"{name}_index"][m[f"{name}_index"]], np.arange(len(m[f"{name}_index"])))
    for _ in range(8):
        action = rng.uniform(-1, 1, 36)
        rewards, _ = core.step(np.stack([action, m["action_sign"] * action[m["action_index"]]]))
        seen = core.observe()
        expected = m["observation_sign"] * seen[0][m["observation_index"]]
        np.testing.assert_allclose(seen[1], expected, rtol=1e-3, atol=1e-3)
        assert rewards[0] == pytest.approx(rewards[1], abs=1e-5)
    assert np.abs(seen[0] - seen[1]).max() > 0.5


def test_strength_caps_the_drives_force():
    core = Walker(2, frame_skip=1)
    core.reset(np.arange(2), [np.random.default_rng(0)] * 2)
    targets = np.ones((2, 24))
    forces = core.body.batch.bind("actuator_force")
    for strengths in ([-1.0, 1.0], [0.0, 0.5]):
        core.drive.set(targets, np.tile(np.array(strengths)[:, None], (1, 12)))
        core.body.step()
        cap = core.body.model.actuator_forcerange[:, 1] * (np.array(strengths)[:, None] + 1) / 2
        assert (np.abs(forces) <= cap + 1e-9).all()
        assert (np.abs(forces[1]) > 0.5 * cap[1]).any()


def test_targets_map_onto_the_joints_limits():
    drive = Walker(1).drive
    np.testing.assert_allclose(drive.angles(-np.ones(24)), drive.low)
    np.testing.assert_allclose(drive.angles(np.ones(24)), drive.high)
    assert (drive.low < drive.high).all()


def test_state_continues_bit_for_bit():
    same.state_continues(vector)


def test_a_diverging_copy_ends_alone():
    env = vector(3)
    env.reset(seed=0)
    env.core.body.qvel[1] = 1e12
    observations, rewards, terminated, _, infos = env.step(np.zeros((3, 36)))
    np.testing.assert_array_equal(terminated, [False, True, False])
    np.testing.assert_array_equal(infos["final_info"]["diverged"], [False, True, False])
    assert np.isfinite(observations).all()
    assert np.isfinite(infos["final_obs"][1]).all()
    assert rewards[1] == 0
    twin = vector(3)
    twin.reset(seed=0)
    np.testing.assert_array_equal(twin.step(np.zeros((3, 36)))[0][[0, 2]], observations[[0, 2]])


def test_pictures_show_something():
    env = gymnasium.make(ENV, render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    assert image.shape == (480, 640, 3)
    assert image.dtype == np.uint8
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100
    env.close()
