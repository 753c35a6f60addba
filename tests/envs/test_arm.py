"""The arm, reaching and pushing: spaces, rewards for any goal, starts, vector equals singles, divergence, pictures, bad input."""

import warnings
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs  # noqa: F401  (registers deepnp/…)
from envs.bodies.arm import TOLERANCE, ArmPush, ArmReach
from tests.envs import same

ARMS = {"ArmReach": ArmReach, "ArmPush": ArmPush}
both = pytest.mark.parametrize("task", ARMS)


def vector(task, copies, mode=AutoresetMode.SAME_STEP, **settings):
    return gymnasium.make_vec(f"deepnp/{task}-v0", copies, "vector_entry_point", autoreset_mode=mode, **settings)


def started(task, copies, **settings):
    core = ARMS[task](copies, **settings)
    core.reset(np.arange(copies), [np.random.default_rng(i) for i in range(copies)])
    return core


@both
def test_gymnasium_accepts_it(task):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*infinity.*")
        check_env(gymnasium.make(f"deepnp/{task}-v0", render_mode="rgb_array").unwrapped)


@both
@pytest.mark.parametrize("claws", [True, False])
def test_counts(task, claws):
    env = gymnasium.make(f"deepnp/{task}-v0", claws=claws)
    joints = 9 if claws else 6
    assert env.action_space.shape == (joints,)
    sizes = {name: space.shape for name, space in env.observation_space.items()}
    sensed = 3 * joints + 3 + 15 * (task == "ArmPush")
    assert sizes == {"observation": (sensed,), "achieved_goal": (3,), "desired_goal": (3,)}


@both
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vector_equals_singles_step_for_step(task, mode):
    singles = SyncVectorEnv([lambda: gymnasium.make(f"deepnp/{task}-v0", max_episode_steps=20)] * 2, autoreset_mode=mode)
    _, limits = same.vector_equals_singles(vector(task, 2, mode, max_episode_steps=20), singles, 450)
    assert limits > 40


@both
def test_same_seed_same_trajectory_at_any_thread_count(task):
    same.threads_do_not_matter(partial(vector, task))


@both
def test_state_continues_bit_for_bit(task):
    same.state_continues(partial(vector, task))


@both
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e12])
def test_a_diverging_copy_ends_alone(task, poison):
    same.a_diverging_copy_ends_alone(partial(vector, task), poison)


@both
def test_a_diverging_copy_keeps_its_goal_to_the_end(task):
    env = vector(task, 2)
    first, _ = env.reset(seed=0)
    env.core.body.qvel[1] = np.nan
    *_, infos = env.step(np.zeros((2, 9)))
    np.testing.assert_array_equal(infos["final_obs"]["desired_goal"], first["desired_goal"])


@both
def test_pictures_show_something(task):
    same.shows_something(gymnasium.make(f"deepnp/{task}-v0", render_mode="rgb_array"))


@both
@pytest.mark.parametrize("shaped", [False, True])
def test_rewards_are_those_of_any_goal(task, shaped, rng):
    """What a step paid equals what is computed from what it showed, row for row; and it is the documented formula."""
    env = vector(task, 6, shaped=shaped)
    env.reset(seed=0)
    for _ in range(10):
        observations, rewards, _, _, infos = env.step(same.random_actions(env, rng))
        achieved, desired = observations["achieved_goal"], observations["desired_goal"]
        np.testing.assert_array_equal(rewards, env.compute_reward(achieved, desired, infos))
        distance = np.linalg.norm(achieved - desired, axis=1)
        np.testing.assert_allclose(rewards, -distance if shaped else np.where(distance > TOLERANCE, -1, 0), atol=1e-7)
        np.testing.assert_array_equal(infos["is_success"], distance <= TOLERANCE)
    rings = np.array([[0.049, 0, 0], [0, 0.051, 0], [0, 0, 0]])
    expected = [-0.049, -0.051, 0] if shaped else [0, -1, 0]
    np.testing.assert_allclose(env.compute_reward(rings, np.zeros((3, 3)), {}), expected, atol=1e-7)
    single = gymnasium.make(f"deepnp/{task}-v0", shaped=shaped).unwrapped
    assert single.compute_reward(achieved[0], desired[0], {}) == rewards[0]


@both
def test_goals_begin_unreached_mostly_and_stay(task, rng):
    env = vector(task, 64)
    first, infos = env.reset(seed=0)
    assert infos["is_success"].mean() < 0.1
    assert len(np.unique(first["desired_goal"], axis=0)) == 64
    for _ in range(5):
        observations, *_ = env.step(same.random_actions(env, rng))
        np.testing.assert_array_equal(observations["desired_goal"], first["desired_goal"])


def test_every_goal_can_be_reached(rng):
    """Some pose among many random ones comes within the tolerance of it."""
    import mujoco

    core = ArmReach(1)
    model, data = core.body.model, mujoco.MjData(core.body.model)
    hands = np.empty((20000, 3))
    for hand in hands:
        data.qpos[:] = rng.uniform(core.drive.low, core.drive.high)
        mujoco.mj_kinematics(model, data)
        hand[:] = data.site_xpos[0]
    hands = hands[hands[:, 2] > 0.06]
    for _ in range(200):
        assert np.linalg.norm(hands - core._draw(rng, np.zeros(9)), axis=1).min() < TOLERANCE


def test_pushes_begin_with_the_cube_at_rest_away_from_its_goal():
    core = started("ArmPush", 64)
    before = core.observe()
    distance = np.linalg.norm(before["achieved_goal"] - before["desired_goal"], axis=1)
    assert (distance > 0.1).all()
    assert (distance < 0.3).all()
    for _ in range(20):
        core.step(np.zeros((64, 9)))
    after = core.observe()
    np.testing.assert_allclose(after["achieved_goal"], before["achieved_goal"], atol=5e-3)


def test_the_arm_holds_still_and_follows_its_targets():
    core = started("ArmReach", 4)
    start = core.observe()["achieved_goal"]
    for _ in range(20):
        core.step(np.zeros((4, 9)))
    np.testing.assert_allclose(core.observe()["achieved_goal"], start, atol=1e-3)
    for _ in range(5):
        core.step(np.eye(9)[[0] * 4])
    for _ in range(10):
        core.step(np.zeros((4, 9)))
    seen = core.observe()["observation"]
    np.testing.assert_allclose(seen[:, 0], seen[:, 18], atol=0.02)  # the base has turned to where its target went
    np.testing.assert_allclose(core.drive.targets[:, 0], core.body.qpos[:, 0] / core.drive.high[0], atol=0.02)


def test_the_hand_can_push_the_cube():
    """It comes down beside the cube and sweeps sideways: the cube slides along, on the ground."""
    core = started("ArmPush", 1, noise=0.0)
    core.body.qpos[0, -7:] = [0.5, 0.17, 0.05, 1, 0, 0, 0]
    down, turn = np.zeros((1, 9)), np.zeros((1, 9))
    down[0, 1], turn[0, 0] = 0.3, 0.5
    for action in (down, turn):
        for _ in range(10):
            core.step(action)
    assert core.achieved()[0, 1] > 0.22
    assert core.achieved()[0, 2] < 0.1
